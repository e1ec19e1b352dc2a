"""The scores of one pair, and of many: what is defined, and why the rest is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from mbs_cli.scoring.channel import Channel
from mbs_cli.scoring.facts import PairFacts
from mbs_cli.scoring.metrics import Family, families_of
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.signals import NotApplicable


@dataclass(frozen=True)
class PairScore:
    """Every requested metric is a key of either `values` or `reasons`, never of both."""

    name: str
    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    reference: str | None = None  # path; None for arrays and without a reference
    estimate: str | None = None
    facts: PairFacts = field(default_factory=PairFacts)

    @property
    def was_compared(self) -> bool:
        """False if a file is missing or cannot be read, or if lengths or channels differ."""
        return self.facts.channels is not None

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
    """The metrics of one pair, computed in this process.

    Channels are scored one by one and averaged; a metric that one of them lacks has no value.
    Whatever goes wrong, foreseen or not, is a reason in this row and does not stop other rows.
    """
    row = empty_row(pair)
    try:
        signals = pair.load()
    except Exception as reason:  # noqa: BLE001 - becomes the reason
        row.reasons.update(dict.fromkeys(metrics, _text(reason)))
        return row
    references = [None] * len(signals.estimate) if signals.reference is None else signals.reference
    channels = [Channel(*pair) for pair in zip(references, signals.estimate, strict=True)]
    for family in families_of(metrics):
        keys = family.keys_among(metrics)
        try:
            computed = _mean_over_channels(family, channels)
        except Exception as reason:  # noqa: BLE001 - likewise, and the next family may go well
            row.reasons.update(dict.fromkeys(keys, _text(reason)))
        else:
            row.values.update({key: computed[key] for key in keys})
    return replace(row, facts=signals.facts)


def empty_row(pair: ScorePair) -> PairScore:
    """A row that has no scores yet."""
    return PairScore(pair.name, reference=_path(pair.reference), estimate=_path(pair.estimate))


def _path(source: object) -> str | None:
    return str(source) if isinstance(source, Path) else None


def _text(reason: Exception) -> str:
    if isinstance(reason, NotApplicable):
        return str(reason)
    if isinstance(reason, MemoryError):
        return "not enough memory"
    return f"failed unexpectedly ({type(reason).__name__}: {reason})"


def _mean_over_channels(family: Family, channels: Sequence[Channel]) -> dict[str, float]:
    if len(channels) == 1:
        return family.compute(channels[0])
    rows = []
    for number, channel in enumerate(channels, start=1):
        try:
            rows.append(family.compute(channel))
        except NotApplicable as reason:
            raise NotApplicable(f"channel {number}: {reason}") from reason
    return {key: fmean(row[key] for row in rows) for key in rows[0]}
