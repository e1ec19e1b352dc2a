"""Perceptual contrast stretching of a stream (`mbs_cli.audio.pcs`).

Stretching depends on the level and makes a sound louder. A stream's level is not known before its
end, so both are measured over the frames so far: every frame is stretched for the mean level up to
it, and its gain brings the mean level after stretching back to the one before. All channels have
one level and one such gain. Letters: C channels, F frequency bins, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mbs_cli.audio.parameters import FRAMES_8_MS, N_FFT
from mbs_cli.audio.pcs import stretch_spectrum
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import analysis_window
from mbs_cli.enhancement.causal import CausalEnhancer


class ContrastStretcher:
    """`feed` blocks (C, S) at 16 kHz, the last one with `last`; the output has the same length."""

    def __init__(self, channels: int) -> None:
        self._stream = CausalEnhancer(_Stretching(), channels)

    def feed(self, block: Samples, last: bool = False) -> Samples:
        """The samples (C, S) that are final, up to 32 ms behind until the last."""
        stretched = self._stream.feed(block)
        return np.concatenate([stretched, self._stream.flush()], axis=1) if last else stretched


@dataclass(frozen=True)
class _Levels:
    """What the frames so far add up to."""

    frames: int
    power_before: Tensor  # scalars, float64
    power_after: Tensor


class _Stretching(nn.Module):
    """Stretching behind the interface of a causal model."""

    is_causal = True
    framing = FRAMES_8_MS

    def stream(self, spectrum: Tensor, levels: _Levels | None) -> tuple[Tensor, _Levels]:
        """(C, F, T, 2) and the levels so far to the same, stretched."""
        if levels is None:
            levels = _Levels(0, *torch.zeros(2, dtype=torch.float64))
        before = levels.power_before + _frame_power(spectrum).cumsum(0)
        count = levels.frames + torch.arange(1, len(before) + 1)
        rms = (before / count).sqrt().to(spectrum.dtype)
        stretched = stretch_spectrum(spectrum, rms.expand(len(spectrum), -1))
        after = levels.power_after + _frame_power(stretched).cumsum(0)
        gain = torch.where(after > 0, before / after, 1.0).sqrt().to(spectrum.dtype)
        return stretched * gain[:, None], _Levels(int(count[-1]), before[-1], after[-1])


def _frame_power(spectrum: Tensor) -> Tensor:
    """The mean square of the samples in each frame (T,), over all channels, by Parseval."""
    power = spectrum.double().square().sum(-1).mean(0)  # (F, T)
    both_sides = 2 * power.sum(0) - power[0] - power[-1]
    return both_sides / (N_FFT * analysis_window(FRAMES_8_MS).square().sum().item())
