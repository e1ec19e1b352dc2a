"""A model that looks both ways in time, window by window, for files of any length.

Letters: C channels, S samples.

    window k     |<margin>|........ kept ........|<margin>|
    window k+1                          |<margin>|........ kept ........|<margin>|
                                                 |xx|  a short linear crossfade

The margins give the model its context and are thrown away; what lies within one window at the
start or end of the file has no margin there. A file of one window or less is processed whole.
Where memory does not reach for a window, windows get shorter from there on; margins stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from mbs_cli.audio.samples import Samples, silence
from mbs_cli.audio.stft import HOP, SAMPLE_RATE_HZ, istft, stft
from mbs_cli.device import device_of
from mbs_cli.memory import is_out_of_memory

WINDOW_SECONDS = 8.0
MARGIN_SECONDS = 2.0
CROSSFADE_SECONDS = 0.032
_LEAST_KEPT_SECONDS = 0.25  # of a window, when memory is short


def _whole_hops(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ / HOP) * HOP


class WindowedEnhancer:
    """`feed` blocks (C, S) at 16 kHz, then `flush`; all output joined has the input's length."""

    def __init__(
        self,
        model: nn.Module,
        channels: int = 1,
        window_seconds: float = WINDOW_SECONDS,
        margin_seconds: float = MARGIN_SECONDS,
    ) -> None:
        self._model: Any = model
        self._device = device_of(model)
        self._window = _whole_hops(window_seconds)
        self._margin = _whole_hops(margin_seconds)
        self._fade = np.linspace(0, 1, _whole_hops(CROSSFADE_SECONDS), dtype=np.float32)
        self._waiting = silence(channels, 0)  # input from the start of the next window on
        self._skipped = 0  # where the next window's kept part begins: 0, later its margin
        self._overlap = silence(channels, 0)  # what the last window says of that beginning

    def feed(self, block: Samples) -> Samples:
        """Take float32 samples (C, S), S >= 0; return the enhanced ones that are final."""
        self._waiting = np.concatenate([self._waiting, block], axis=1)
        finished = [self._waiting[:, :0]]
        while self._waiting.shape[1] > self._window:
            enhanced = self._attempt(self._waiting[:, : self._window])
            if enhanced is not None:
                finished.append(self._keep(enhanced))
        return np.concatenate(finished, axis=1)

    def flush(self) -> Samples:
        """End the signal; return the rest (C, S)."""
        finished = [self._waiting[:, :0]]
        while self._waiting.shape[1]:
            rest = self._attempt(self._waiting)
            if rest is None:  # what waits may now be more than a window
                finished.append(self.feed(self._waiting[:, :0]))
            else:
                finished.append(rest[:, self._skipped :])
                self._waiting = self._waiting[:, :0]
        return np.concatenate(finished, axis=1)

    def _keep(self, enhanced: Samples) -> Samples:
        """What a window settles; the next window begins where its margin does."""
        step = self._window - 2 * self._margin
        border = self._margin + step
        kept = enhanced[:, self._skipped : border]
        self._overlap = enhanced[:, border : border + len(self._fade)]
        self._skipped = self._margin
        self._waiting = self._waiting[:, step:]
        return kept

    def _attempt(self, window: Samples) -> Samples | None:
        """One window enhanced, or None if the next one should be shorter."""
        try:
            return self._enhance(window)
        except (MemoryError, RuntimeError) as error:
            half = (self._window - 2 * self._margin) // (2 * HOP) * HOP
            if half < _whole_hops(_LEAST_KEPT_SECONDS) or not is_out_of_memory(error):
                raise
        self._window = 2 * self._margin + half
        return None

    @torch.inference_mode()
    def _enhance(self, window: Samples) -> Samples:
        """One window through the model, faded in where the window before overlaps."""
        noisy = torch.from_numpy(np.ascontiguousarray(window)).to(self._device)
        enhanced: Samples = istft(self._model(stft(noisy)), window.shape[1]).cpu().numpy()
        overlap = self._overlap
        if overlap.shape[1]:
            faded = enhanced[:, self._skipped : self._skipped + overlap.shape[1]]
            faded += (1 - self._fade) * (overlap - faded)
        return enhanced
