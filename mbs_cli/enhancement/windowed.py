"""A model that looks both ways in time, window by window, for files of any length.

Letters: C channels, F frequency bins, T frames.

    window k     |......... kept .........|....... ahead .......|
    window k+1                            |......... kept .........|....... ahead .......|
                                          |xx|  a short linear crossfade

What runs forward in time carries its state from the end of what is kept to the next window, so the
past is exact. What runs backward starts anew in every window, so the frames ahead are only looked
at; their estimates are thrown away. A file of one window or less is processed whole. Where memory
does not reach for a window, less is kept of each from there on; the look-ahead stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mbs_cli.audio.parameters import Framing
from mbs_cli.audio.samples import Samples
from mbs_cli.enhancement.causal import CausalEnhancer
from mbs_cli.memory import is_out_of_memory

KEPT_SECONDS = 18.0
AHEAD_SECONDS = 10.0  # what it leaves of what models hear: docs/performance.md
CROSSFADE_SECONDS = 0.032
_MOST_CHANNEL_SECONDS = 96.0  # kept of one window, so that many channels need no more memory
_LEAST_KEPT_SECONDS = 0.25  # of a window, when memory is short


class WindowedEnhancer:
    """`feed` blocks (C, S) at 16 kHz, then `flush`; all output joined has the input's length."""

    def __init__(
        self,
        model: nn.Module,
        channels: int = 1,
        kept_seconds: float = KEPT_SECONDS,
        ahead_seconds: float = AHEAD_SECONDS,
    ) -> None:
        kept_seconds = min(kept_seconds, _MOST_CHANNEL_SECONDS / channels)
        self._windows = Windows(model, kept_seconds, ahead_seconds)
        self._stream = CausalEnhancer(self._windows, channels)

    def feed(self, block: Samples) -> Samples:
        """Take float32 samples (C, S), S >= 0; return the enhanced ones that are final."""
        return self._stream.feed(block)

    def flush(self) -> Samples:
        """End the signal; return the rest (C, S)."""
        self._windows.is_ending = True
        return self._stream.flush()


@dataclass(frozen=True)
class _Open:
    """What is left of the frames so far."""

    waiting: Tensor  # (C, F, T, 2) from the start of the next window on
    overlap: Tensor  # (C, F, T, 2): what the last window says of the first of them
    state: Any  # of the model before them


class Windows(nn.Module):
    """A model that looks both ways as one that streams, but gives its frames windows later."""

    def __init__(self, model: nn.Module, kept_seconds: float, ahead_seconds: float) -> None:
        super().__init__()
        self.model: Any = model
        self.is_ending = False  # whether the next frames are the last
        self._kept, self._ahead = self._frames(kept_seconds), self._frames(ahead_seconds)

    @property
    def framing(self) -> Framing:
        """The model's."""
        framing: Framing = self.model.framing
        return framing

    def _frames(self, seconds: float) -> int:
        return round(seconds * self.framing.frames_per_second)

    def stream(self, spectrum: Tensor, before: _Open | None) -> tuple[Tensor, _Open]:
        """Take frames (C, F, T, 2) and what was left; return those that are final, and the rest."""
        nothing = spectrum[:, :, :0]
        rest = before or _Open(nothing, nothing, None)
        rest = _Open(torch.cat([rest.waiting, spectrum], dim=2), rest.overlap, rest.state)
        finished = [nothing]
        while kept := self._next_kept(rest):
            result = self._attempt(rest, kept)
            if result is not None:
                estimate, rest = result
                finished.append(estimate)
        return torch.cat(finished, dim=2), rest

    def _next_kept(self, rest: _Open) -> int:
        """How many frames the next window settles; 0 if it has to wait for more."""
        waiting = rest.waiting.shape[2]
        if waiting > self._kept + self._ahead:
            return self._kept
        return waiting if self.is_ending else 0

    def _attempt(self, rest: _Open, kept: int) -> tuple[Tensor, _Open] | None:
        """One window's estimate and what it leaves, or None if the next one should be shorter."""
        try:
            return self._enhance(rest, kept)
        except (MemoryError, RuntimeError) as error:
            half = self._kept // 2
            if half < self._frames(_LEAST_KEPT_SECONDS) or not is_out_of_memory(error):
                raise
        self._kept = half
        return None

    def _enhance(self, rest: _Open, kept: int) -> tuple[Tensor, _Open]:
        window = rest.waiting[:, :, : kept + self._ahead]
        shown = min(kept + self._frames(CROSSFADE_SECONDS), window.shape[2])
        estimate, state = self.model.look_ahead(window, rest.state, kept, shown)
        count = min(rest.overlap.shape[2], kept)
        if count:
            fade = torch.arange(1, count + 1, device=estimate.device)[:, None] / (count + 1)
            estimate[:, :, :count].lerp_(rest.overlap[:, :, :count], 1 - fade)
        overlap = estimate[:, :, kept:].clone()
        return estimate[:, :, :kept], _Open(rest.waiting[:, :, kept:], overlap, state)
