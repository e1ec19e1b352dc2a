"""Scale-invariant signal-to-distortion ratio (Le Roux et al., ICASSP 2019, equation 5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.signals import check_pair

CEILING_DB = 100.0  # beyond it the rounding of the samples is measured, not the estimate


def si_sdr(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """SI-SDR in dB of two signals (S,), both freed of their mean; higher is better.

    10 log10(|a s|^2 / |a s - e|^2) with a = <e, s> / |s|^2, for the reference s and the estimate e.
    Limited to +-100 dB, so that identical signals have a value that a mean can hold.

    Raises:
        NotApplicable: one of the signals is silent or not finite, or their lengths differ.
    """
    clean, enhanced = check_pair(reference, estimate)
    clean = clean - clean.mean()
    enhanced = enhanced - enhanced.mean()
    target = (np.dot(enhanced, clean) / np.dot(clean, clean)) * clean
    distortion = target - enhanced
    return ratio_db(float(np.dot(target, target)), float(np.dot(distortion, distortion)))


def ratio_db(signal_energy: float, noise_energy: float) -> float:
    """The ratio of two energies in dB, limited to +-100 dB."""
    if noise_energy == 0.0:
        return CEILING_DB
    if signal_energy == 0.0:
        return -CEILING_DB
    ratio_db = 10.0 * math.log10(signal_energy / noise_energy)
    return min(max(ratio_db, -CEILING_DB), CEILING_DB)
