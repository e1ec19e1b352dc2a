"""Noise that is left where nothing, or next to nothing, is wanted.

Errors of compressed magnitudes and of loudness forgive what is soft: noise 40 dB below the voice
hardly counts. In a pause it is all that there is to hear. This error counts it in bels, band by
band; too little is no fault here.

Letters: B batch, F = 257 frequency bins, T frames, K = 43 bands of half a Bark.
"""

from __future__ import annotations

from torch import Tensor

from mbs_cli.training.critical_bands import band_shares

_FLOOR = 1e-5  # 50 dB below a bin of speech at the reference level: as good as silence
_TOLERATED_BELS = 0.3  # speech is estimated to about as much


def residual_noise(heard: Tensor, wanted: Tensor) -> Tensor:
    """Mean over bands and frames of how far too loud they are, in bels, for |z|^2 (B, F, T): (B,).

    Both are at the reference level; what is wanted may be silent.
    """
    shares = band_shares(heard.device)
    means = shares / shares.sum(1, keepdim=True)  # (K, F)
    excess = ((means @ heard + _FLOOR) / (means @ wanted + _FLOOR)).log10()  # (B, K, T)
    return (excess - _TOLERATED_BELS).clamp_min(0).mean((1, 2))
