"""The pair that every metric takes, and the reasons why a pair cannot be scored.

S samples. A metric is either a number that means something or "not applicable" with a reason;
there is no third case, no -1 and no NaN (design: numbers that others can reproduce).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
SILENCE_PEAK = 1e-8  # far below one step of a 24-bit file (1.2e-7)
LOUDEST_PEAK = 1e50  # far beyond any recording, and the energies of what is below never overflow

Signal = NDArray[np.float64]


class NotApplicable(Exception):
    """A metric has no meaningful value for this pair; the message is the reason."""


def check_pair(
    reference: NDArray[Any], estimate: NDArray[Any], shortest_seconds: float = 0.0
) -> tuple[Signal, Signal]:
    """Both signals as float64 (S,), or `NotApplicable` saying what is wrong with which of them.

    A constant signal counts as silent: an offset carries no speech.
    """
    clean, enhanced = _as_signal(reference, "reference"), _as_signal(estimate, "estimate")
    if clean.size != enhanced.size:
        raise NotApplicable(
            f"lengths differ: reference {clean.size} samples, estimate {enhanced.size} samples"
        )
    _check_length(clean, shortest_seconds)
    _check_content(clean, "reference")
    _check_content(enhanced, "estimate")
    return clean, enhanced


def check_estimate(estimate: NDArray[Any], shortest_seconds: float = 0.0) -> Signal:
    """One signal as float64 (S,), for metrics without a reference, or `NotApplicable`."""
    enhanced = _as_signal(estimate, "estimate")
    _check_length(enhanced, shortest_seconds)
    _check_content(enhanced, "estimate")
    return enhanced


def check_value(value: float) -> float:
    """A metric's value, or `NotApplicable` if it is no finite number."""
    if not math.isfinite(value):
        raise NotApplicable(f"its value is not a finite number: {value}")
    return value


def _as_signal(samples: NDArray[Any], role: str) -> Signal:
    signal = np.asarray(samples, dtype=np.float64)
    if signal.ndim != 1:
        raise NotApplicable(f"{role} is not mono: its shape is {signal.shape}")
    return signal


def _check_length(signal: Signal, shortest_seconds: float) -> None:
    if signal.size < shortest_seconds * SAMPLE_RATE_HZ:
        raise NotApplicable(
            f"too short: {signal.size / SAMPLE_RATE_HZ:.3f} s, needs {shortest_seconds:g} s or more"
        )


def _check_content(signal: Signal, role: str) -> None:
    if signal.size == 0:
        raise NotApplicable(f"{role} has no samples")
    if not np.isfinite(signal).all():
        count = int(np.count_nonzero(~np.isfinite(signal)))
        raise NotApplicable(f"{role} has {count} samples that are NaN or infinite")
    if (peak := float(np.abs(signal).max())) > LOUDEST_PEAK:
        raise NotApplicable(f"{role} has samples as large as {peak:.0e}: that is no sound")
    if np.ptp(signal) < SILENCE_PEAK:
        raise NotApplicable(f"{role} is silent")
