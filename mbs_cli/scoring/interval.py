"""How sure a mean is: the percentile bootstrap (Efron & Tibshirani 1993, chapter 13)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
SEED = 0  # the same values give the same interval


def bootstrap_interval(
    values: Sequence[float], confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The interval of the mean of at least one value: lower and upper end."""
    sample = np.asarray(values, dtype=np.float64)
    generator = np.random.default_rng(SEED)
    means = [generator.choice(sample, sample.size).mean() for _ in range(resamples)]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)
