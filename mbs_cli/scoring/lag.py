"""How late an estimate is: the peak of its cross-correlation with the reference.

Summed over blocks, so that an hour takes no more memory than a minute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, SILENCE_PEAK

MOST_SECONDS = 0.5  # far beyond the delay of any enhancer
LEAST_CORRELATION = 0.05  # below it there is nothing in common whose lag could be told
_FFT_SAMPLES = 1 << 16


def measure_lag(reference: NDArray[Any], estimate: NDArray[Any]) -> int | None:
    """Samples at 16 kHz by which the estimate (S,) is late, negative if it is early.

    None if one is silent or not finite, or if they have next to nothing in common.
    """
    most = int(MOST_SECONDS * SAMPLE_RATE_HZ)
    with np.errstate(over="ignore"):  # found infinite below
        norm = float(np.linalg.norm(reference)) * float(np.linalg.norm(estimate))
    if not np.isfinite(norm) or norm < SILENCE_PEAK**2:
        return None
    strength = np.abs(_correlation(reference, estimate, most))  # a turned polarity is no lag
    lag = int(strength.argmax()) - most
    return lag if strength[lag + most] >= LEAST_CORRELATION * norm else None


def _correlation(reference: NDArray[Any], estimate: NDArray[Any], most: int) -> NDArray[Any]:
    """Sum of r[n] e[n + lag] for every lag from -most to most, shaped (2 most + 1,)."""
    total = np.zeros(2 * most + 1)
    padded = np.pad(estimate, (most, most + max(0, reference.size - estimate.size)))
    step = _FFT_SAMPLES - 2 * most  # so that nothing wraps round into these lags
    for start in range(0, reference.size, step):
        block = reference[start : start + step]
        around = padded[start : start + block.size + 2 * most]
        spectrum = np.conj(np.fft.rfft(block, _FFT_SAMPLES)) * np.fft.rfft(around, _FFT_SAMPLES)
        total += np.fft.irfft(spectrum, _FFT_SAMPLES)[: total.size]
    return total
