"""The short-time Fourier transform of every framing, as real tensors.

Letters: B batch, S samples, F = 257 frequency bins, T frames.

Frame t is centred on sample t * hop; beyond both ends the signal counts as zero, so that a file
processed in blocks sees the very frames that the whole file does. The last frame is centred on the
end or after it, so that the last samples lie in as many frames as all others.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mbs_cli.audio.parameters import N_FFT, Framing


def analysis_window(framing: Framing, device: torch.device | None = None) -> Tensor:
    """The window (N_FFT,) of a framing, used for analysis and again for synthesis."""
    hann = torch.hann_window(N_FFT, periodic=True, device=device)
    return hann if framing.window == "hann" else hann.sqrt()


def stft(samples: Tensor, framing: Framing) -> Tensor:
    """Spectrum (B, F, T, 2), real and imaginary part last, of samples (B, S).

    T is `framing.frame_count(S)`.
    """
    padded = F.pad(samples.float(), (0, -samples.shape[-1] % framing.hop))
    spectrum = torch.stft(
        padded,
        N_FFT,
        framing.hop,
        window=analysis_window(framing, samples.device),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return torch.view_as_real(spectrum)


def istft(spectrum: Tensor, samples: int, framing: Framing) -> Tensor:
    """Samples (B, S = samples) whose spectrum is nearest to (B, F, T, 2) in least squares.

    Every frame is windowed once more, overlapped and added, and divided by the sum of squared
    windows (Griffin & Lim 1984, equation 6).
    """
    return torch.istft(
        torch.view_as_complex(spectrum.float().contiguous()),
        N_FFT,
        framing.hop,
        window=analysis_window(framing, spectrum.device),
        center=True,
        length=samples,
    )
