"""The short-time Fourier transform that every model shares, as real tensors.

Letters: B batch, S samples, F = 257 frequency bins, T frames.

Frame t is centred on sample t * HOP; beyond both ends the signal counts as zero, so that a file
processed in blocks sees the very frames that the whole file does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mbs_cli.audio.parameters import BINS, FRAMES_PER_SECOND, HOP, N_FFT, SAMPLE_RATE_HZ

__all__ = ["BINS", "FRAMES_PER_SECOND", "HOP", "N_FFT", "SAMPLE_RATE_HZ", "istft", "stft"]


def analysis_window(device: torch.device | None = None) -> Tensor:
    """The periodic Hann window (N_FFT,), used for analysis and again for synthesis."""
    return torch.hann_window(N_FFT, periodic=True, device=device)


def frame_count(samples: int) -> int:
    """How many frames `stft` makes of a signal of that many samples."""
    return samples // HOP + 1


def stft(samples: Tensor) -> Tensor:
    """Spectrum (B, F, T, 2), real and imaginary part last, of samples (B, S); T = S // HOP + 1."""
    spectrum = torch.stft(
        samples.float(),
        N_FFT,
        HOP,
        window=analysis_window(samples.device),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return torch.view_as_real(spectrum)


def istft(spectrum: Tensor, samples: int) -> Tensor:
    """Samples (B, S = samples) whose spectrum is nearest to (B, F, T, 2) in least squares.

    Every frame is windowed once more, overlapped and added, and divided by the sum of squared
    windows (Griffin & Lim 1984, equation 6).
    """
    return torch.istft(
        torch.view_as_complex(spectrum.float().contiguous()),
        N_FFT,
        HOP,
        window=analysis_window(spectrum.device),
        center=True,
        length=samples,
    )
