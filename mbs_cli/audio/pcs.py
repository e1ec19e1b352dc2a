"""Perceptual contrast stretching (Chao et al., INTERSPEECH 2022, arXiv 2203.17152).

Every frequency's magnitude is stretched by how much it matters for understanding speech:
L = w(f) log(1 + |S|), |S'| = exp(L) - 1, phase unchanged. Letters: B batch, S samples,
F = 257 bins, T frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mbs_cli.audio.parameters import BINS, FRAMES_8_MS
from mbs_cli.audio.stft import istft, stft

# Weights by the critical-band importance function, each with the first bin (of 257 at 16 kHz)
# that it holds from.
_WEIGHTS = (
    (0, 1.0),
    (3, 1.070175439),
    (6, 1.182456140),
    (9, 1.287719298),
    (12, 1.4),
    (138, 1.322807018),
    (166, 1.238596491),
    (200, 1.161403509),
    (241, 1.077192982),
    (256, 1.0),
)
# The stretching depends on the level. This RMS stands for speech as it is recorded (-26 dBFS).
REFERENCE_RMS = 0.05


def band_weights(device: torch.device | None = None) -> Tensor:
    """The exponent of every bin (F,)."""
    weights = torch.ones(BINS, device=device)
    for first_bin, weight in _WEIGHTS:
        weights[first_bin:] = weight
    return weights


def stretch_spectrum(spectrum: Tensor, rms: Tensor) -> Tensor:
    """The stretched spectrum (B, F, T, 2) of one whose waveforms have these RMS levels.

    `rms` is (B,), or (B, T) with a level for each frame. It is stretched as if its level were
    REFERENCE_RMS, so that scaling the input scales the output; stretching makes it louder. A
    level of 0 leaves it alone.
    """
    level = rms.reshape(len(rms), 1, -1, 1)
    scale = torch.where(level > 0, REFERENCE_RMS / level, torch.ones_like(level))
    magnitude = torch.linalg.vector_norm(spectrum, dim=-1, keepdim=True) * scale
    weights = band_weights(spectrum.device)[:, None, None]
    stretched = torch.expm1(weights * torch.log1p(magnitude))
    gain = torch.where(magnitude > 0, stretched / magnitude, weights)
    return torch.where(level > 0, spectrum * gain, spectrum)


def stretch_waveform(samples: Tensor) -> Tensor:
    """The stretched samples (B, S) at the RMS level that they had; silence stays silence."""
    rms = samples.square().mean(1).sqrt()
    spectrum = stretch_spectrum(stft(samples, FRAMES_8_MS), rms)
    stretched = istft(spectrum, samples.shape[1], FRAMES_8_MS)
    louder = stretched.square().mean(1).sqrt()
    gain = torch.where(louder > 0, rms / louder, torch.ones_like(rms))
    return stretched * gain[:, None]
