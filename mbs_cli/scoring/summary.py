"""A metric over many files, and the paired difference between two systems on the same files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from mbs_cli.scoring.interval import bootstrap_interval


@dataclass(frozen=True)
class Summary:
    """The defined values of one metric; None where there are too few of them."""

    n: int
    mean: float | None = None
    median: float | None = None
    std: float | None = None  # of the sample (n - 1)
    low: float | None = None  # ends of the 95 % bootstrap interval of the mean
    high: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """That of some values: a mean needs one of them, the spread two."""
        if not values:
            return cls(0)
        if len(values) == 1:
            return cls(1, values[0], values[0])
        low, high = bootstrap_interval(values)
        return cls(len(values), fmean(values), median(values), stdev(values), low, high)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Difference:
    """A system's values minus those of another, file by file, over the files that have both."""

    system: str
    baseline: str
    metric: str
    summary: Summary

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        interval = self.summary.interval
        return interval is not None and not interval[0] <= 0.0 <= interval[1]

    def to_json(self) -> dict[str, Any]:
        """The difference as plain values."""
        return {
            "system": self.system,
            "baseline": self.baseline,
            "metric": self.metric,
            "n": self.summary.n,
            "mean": self.summary.mean,
            "ci95": self.summary.interval,
            "clear": self.is_clear,
        }
