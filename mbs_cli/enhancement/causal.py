"""A causal model as a stream: blocks of any size in, the exact whole-signal result out.

Letters: C channels, S samples, F frequency bins, T frames.

    samples  |....|....|....|....|....|        a new frame for every hop of samples, as in `stft`:
    frame t  |<------- N_FFT ------>|          the first is centred on sample 0, and beyond both
    frame t+1     |<------- N_FFT ------>|     ends the signal counts as zero
    output   |done|<- still open -->|          a sample is final when its last frame is in

The delay between feeding a sample and getting it back is N_FFT samples at most (32 ms); nothing
else is waited for. The output itself is not delayed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mbs_cli.audio.parameters import N_FFT, Framing
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import analysis_window
from mbs_cli.device import device_of

_EDGE = N_FFT // 2  # zeros before the start and after the end


class CausalEnhancer:
    """`feed` blocks (C, S) at 16 kHz, then `flush`; all output joined has the input's length.

    State, memory and time per block stay the same however long the signal is.
    """

    def __init__(self, model: Any, channels: int = 1) -> None:
        self._model = model
        framing: Framing = model.framing
        self._device = device_of(model)
        self._hop = framing.hop
        self._open_samples = N_FFT - self._hop
        self._window = analysis_window(framing, self._device)
        self._state: Any = None
        self._samples = torch.zeros(channels, _EDGE, device=self._device)
        self._open = torch.zeros(channels + 1, self._open_samples, device=self._device)
        self._before_start = _EDGE  # output that belongs to the zeros before the start
        self._taken = 0
        self._given = 0

    @torch.inference_mode()
    def feed(self, block: Samples) -> Samples:
        """Take float32 samples (C, S), S >= 0; return the enhanced ones that are final."""
        self._taken += block.shape[1]
        new = torch.from_numpy(np.ascontiguousarray(block)).to(self._device)
        return self._give(self._advance(new))

    @torch.inference_mode()
    def flush(self) -> Samples:
        """End the signal; return the rest (C, S). The stream cannot be fed any further."""
        padding = _EDGE - self._taken % -self._hop  # to the last frame, as `stft` has it
        zeros = self._samples.new_zeros(self._samples.shape[0], padding)
        final = self._advance(zeros)
        rest = torch.cat([final, self._divide(self._open)], dim=1)
        return self._give(rest[:, : self._taken - self._given])

    def _give(self, samples: Tensor) -> Samples:
        self._given += samples.shape[1]
        given: Samples = samples.cpu().numpy()
        return given

    def _advance(self, new: Tensor) -> Tensor:
        """Run every frame that `new` completes; return the samples that became final."""
        samples = torch.cat([self._samples, new], dim=1)
        frames = max(0, (samples.shape[1] - N_FFT) // self._hop + 1)
        self._samples = samples[:, frames * self._hop :]
        if not frames:
            return samples[:, :0]
        enhanced, self._state = self._model.stream(
            self._spectrum(samples[:, : (frames - 1) * self._hop + N_FFT]), self._state
        )
        if not enhanced.shape[2]:  # a model that gives its frames later
            return samples[:, :0]
        return self._divide(self._overlap_add(enhanced))

    def _spectrum(self, samples: Tensor) -> Tensor:
        spectrum = torch.stft(
            samples, N_FFT, self._hop, window=self._window, center=False, return_complex=True
        )
        return torch.view_as_real(spectrum)

    def _overlap_add(self, spectrum: Tensor) -> Tensor:
        """Add (C, F, T, 2) to what is open: (C + 1, S), the last row summing squared windows."""
        frames = torch.view_as_complex(spectrum.transpose(1, 2).contiguous())
        signals = torch.fft.irfft(frames, n=N_FFT) * self._window
        weights = self._window.square().expand(1, signals.shape[1], N_FFT)
        parts = torch.cat([signals, weights]).unflatten(-1, (-1, self._hop))
        overlap = parts.shape[2]
        total = parts.new_zeros(parts.shape[0], parts.shape[1] + overlap - 1, self._hop)
        for step in range(overlap):
            total[:, step : step + parts.shape[1]] += parts[:, :, step]
        sums: Tensor = total.flatten(1)
        sums[:, : self._open_samples] += self._open
        self._open = sums[:, -self._open_samples :]
        return sums[:, : -self._open_samples]

    def _divide(self, sums: Tensor) -> Tensor:
        """Sums of windowed frames over sums of squared windows, without what precedes sample 0."""
        dropped = min(self._before_start, sums.shape[1])
        self._before_start -= dropped
        samples: Tensor = sums[:-1, dropped:] / sums[-1, dropped:].clamp_min(1e-11)
        return samples
