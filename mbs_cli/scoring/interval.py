"""How sure a mean is: the percentile bootstrap (Efron & Tibshirani 1993, chapter 13)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
SEED = 0  # the same values give the same interval
_DRAWS_AT_ONCE = 1_000_000  # bounds the memory
_MOST_DRAWS = 20_000_000  # above 2000 values fewer resamples do: 1000 at the least
_FEWEST_RESAMPLES = 1000


def bootstrap_interval(
    values: Sequence[float], confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The interval of the mean of at least one value: lower and upper end."""
    sample = np.asarray(values, dtype=np.float64)
    generator = np.random.default_rng(SEED)
    rounds = min(resamples, max(_FEWEST_RESAMPLES, _MOST_DRAWS // sample.size))
    rows = max(1, _DRAWS_AT_ONCE // sample.size)
    means = [
        sample[generator.integers(sample.size, size=(min(rows, rounds - done), sample.size))].mean(
            axis=1
        )
        for done in range(0, rounds, rows)
    ]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return float(low), float(high)
