"""Signal-to-noise ratios that take every difference from the reference for noise.

SNR over the whole signal, and segmental SNR as in Hu & Loizou (IEEE TASLP 16(1), 2008), section
II: the mean over 30 ms frames of the SNR in dB, each limited to [-10, 35] dB.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.frames import SHORTEST_SECONDS, frame_blocks
from mbs_cli.scoring.si_sdr import ratio_db
from mbs_cli.scoring.signals import check_pair

LOWEST_DB, HIGHEST_DB = -10.0, 35.0
_EPSILON = float(np.finfo(np.float64).eps)


def snr(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """SNR in dB of two signals (S,), limited to +-100 dB; unlike SI-SDR it sees the level.

    Raises:
        NotApplicable: one of the signals is silent or not finite, or their lengths differ.
    """
    clean, enhanced = check_pair(reference, estimate)
    noise = clean - enhanced
    return ratio_db(float(np.dot(clean, clean)), float(np.dot(noise, noise)))


def segmental_snr(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """Segmental SNR in dB of two signals (S,), between -10 and 35; higher is better.

    Raises:
        NotApplicable: the pair cannot be scored.
    """
    clean, enhanced = check_pair(reference, estimate, SHORTEST_SECONDS)
    parts = []
    for clean_frames, enhanced_frames in frame_blocks(clean, enhanced):
        signal_energy = np.sum(clean_frames**2, axis=1)
        noise_energy = np.sum((clean_frames - enhanced_frames) ** 2, axis=1)
        ratios_db = 10.0 * np.log10(signal_energy / (noise_energy + _EPSILON) + _EPSILON)
        parts.append(np.clip(ratios_db, LOWEST_DB, HIGHEST_DB))
    return float(np.concatenate(parts).mean())
