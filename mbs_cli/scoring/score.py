"""The scores of one pair, and of many: what is defined, and why the rest is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from mbs_cli.scoring.metrics import families_of
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.signals import NotApplicable


@dataclass(frozen=True)
class PairFacts:
    """What was found when a pair was read; None where it could not be."""

    seconds: float | None = None  # of audio that was compared
    channels: int | None = None
    reference_rate_hz: int | None = None  # of the files; compared at 16 kHz
    estimate_rate_hz: int | None = None
    lag_samples: int | None = None  # at 16 kHz; positive: the estimate is late
    is_aligned: bool = False  # whether that lag was taken out
    trimmed_samples: int = 0  # at 16 kHz, cut off the end of the longer one


@dataclass(frozen=True)
class PairScore:
    """Every requested metric is a key of either `values` or `reasons`, never of both."""

    name: str
    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    reference: str | None = None  # path; None for arrays and without a reference
    estimate: str | None = None
    facts: PairFacts = PairFacts()

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return {
            "name": self.name,
            "reference": self.reference,
            "estimate": self.estimate,
            "values": self.values,
            "reasons": self.reasons,
            **asdict(self.facts),
        }


@dataclass(frozen=True)
class Scores:
    """The rows of one system, in the order of its pairs."""

    metrics: tuple[str, ...]
    rows: tuple[PairScore, ...]

    def values(self, metric: str) -> list[float]:
        """The defined values of one metric."""
        return [row.values[metric] for row in self.rows if metric in row.values]

    def mean(self, metric: str) -> float | None:
        """The mean of what is defined; None if nothing is."""
        values = self.values(metric)
        return fmean(values) if values else None

    def means(self) -> dict[str, float | None]:
        """The mean of each metric."""
        return {metric: self.mean(metric) for metric in self.metrics}

    @property
    def not_scored(self) -> tuple[PairScore, ...]:
        """The rows that lack at least one metric."""
        return tuple(row for row in self.rows if row.reasons)

    @property
    def summary(self) -> str:
        """For example `823 of 824 scored`."""
        return f"{len(self.rows) - len(self.not_scored)} of {len(self.rows)} scored"


def score_pair(pair: ScorePair, metrics: Sequence[str]) -> PairScore:
    """The metrics of one pair, computed in this process."""
    row = PairScore(pair.name)
    try:
        reference, estimate = pair.load()
    except NotApplicable as reason:
        row.reasons.update(dict.fromkeys(metrics, str(reason)))
        return row
    for family in families_of(metrics):
        keys = family.keys_among(metrics)
        try:
            computed = family.compute(reference, estimate)
        except NotApplicable as reason:
            row.reasons.update(dict.fromkeys(keys, str(reason)))
        else:
            row.values.update({key: computed[key] for key in keys})
    return row
