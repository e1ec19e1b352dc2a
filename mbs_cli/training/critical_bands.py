"""The critical bands of the ear, half a Bark wide, over the bins of the STFT.

Letters: F = 257 frequency bins, K = 43 bands.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from mbs_cli.audio.parameters import BINS, SAMPLE_RATE_HZ

BAND_BARK = 0.5
_NYQUIST_HZ = SAMPLE_RATE_HZ / 2


@cache
def band_shares(device: torch.device) -> Tensor:
    """The share of each bin that lies in each band, (K, F)."""
    edges_hz = (torch.arange(BINS + 1) - 0.5) * _NYQUIST_HZ / (BINS - 1)
    edges = _bark(edges_hz.clamp(0, _NYQUIST_HZ)).clamp_min(0)
    low = _low_edges()[:, None]
    overlap = torch.minimum(low + BAND_BARK, edges[1:]) - torch.maximum(low, edges[:-1])
    shares = overlap.clamp_min(0) / (edges[1:] - edges[:-1]).clamp_min(torch.finfo().tiny)
    return shares.to(device)


def band_middles_hz() -> Tensor:
    """The middle of each band in Hz, (K, 1)."""
    middle = _low_edges()[:, None] + BAND_BARK / 2
    return 1960 * (middle + 0.53) / (26.28 - middle)


def _low_edges() -> Tensor:
    return torch.arange(0, float(_bark(torch.tensor(_NYQUIST_HZ))), BAND_BARK)


def _bark(hertz: Tensor) -> Tensor:
    """Traunmueller, J. Acoust. Soc. Am. 88 (1990)."""
    return 26.81 * hertz / (1960 + hertz) - 0.53
