"""What `mbs score` finds: one or more systems on the same files, and how they differ.

Everything here is plain data; `scoring.systems` makes it, commands and reports show it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from mbs_cli.scoring.score import PairScore
from mbs_cli.scoring.summary import Difference, Summary

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SystemScores:
    """One system: a row per file, in the same order for all systems of a comparison."""

    name: str
    rows: tuple[PairScore, ...]
    summaries: dict[str, Summary]  # by metric; every requested metric is there
    source: str = ""  # the file or folder that was scored
    is_noisy: bool = False  # the unprocessed input, of --noisy
    weights_sha256: str | None = None  # of the model that made the files, where known

    @property
    def files(self) -> int:
        """How many files there are to score."""
        return len(self.rows)

    @property
    def scored(self) -> int:
        """How many of them have every metric; one that no file has (its package is missing) does
        not count.
        """
        defined = {key for key, summary in self.summaries.items() if summary.n}
        return sum(bool(row.values) and not defined & row.reasons.keys() for row in self.rows)

    def row(self, name: str) -> PairScore | None:
        """The row of a file."""
        return next((row for row in self.rows if row.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """The system as plain values."""
        by_metric = self.summaries.items()
        return {
            "name": self.name,
            "source": self.source,
            "is_noisy": self.is_noisy,
            "weights_sha256": self.weights_sha256,
            "files": self.files,
            "scored": self.scored,
            "mean": {key: summary.mean for key, summary in by_metric},
            "median": {key: summary.median for key, summary in by_metric},
            "std": {key: summary.std for key, summary in by_metric},
            "ci95": {key: summary.interval for key, summary in by_metric},
            "n": {key: summary.n for key, summary in by_metric},
            "rows": [row.to_json() for row in self.rows],
        }


@dataclass(frozen=True)
class Provenance:
    """What it takes to get the same numbers again."""

    command: str
    date: str  # ISO 8601 with the offset from UTC
    versions: dict[str, str]  # python, mbs and the packages that compute metrics
    platform: str
    sample_rate_hz: int  # at which everything is compared
    resampler: str  # for files of any other rate
    options: dict[str, bool] = field(default_factory=dict)  # trim, align


@dataclass(frozen=True)
class Comparison:
    """All systems, and for each two of them the paired difference of every metric."""

    metrics: tuple[str, ...]
    systems: tuple[SystemScores, ...]
    differences: tuple[Difference, ...]
    provenance: Provenance
    unmatched: tuple[str, ...] = ()  # estimates without a reference
    is_complete: bool = True  # False if it was interrupted: rows are what was scored so far

    @property
    def has_failures(self) -> bool:
        """Whether files are missing, unreadable or not comparable, or nothing was scored at all."""
        rows = [row for system in self.systems for row in system.rows]
        has_scores = any(row.values for row in rows)
        return bool(self.unmatched) or not has_scores or any(not r.was_compared for r in rows)

    @property
    def has_gaps(self) -> bool:
        """Whether any file lacks any metric."""
        return any(row.reasons for system in self.systems for row in system.rows)

    def difference(self, system: str, baseline: str, metric: str) -> Difference | None:
        """How much a system's metric lies above that of another, over the files of both."""
        for found in self.differences:
            if (found.system, found.baseline, found.metric) == (system, baseline, metric):
                return found
        return None

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain values, as the README documents them."""
        return {
            "schema": SCHEMA_VERSION,
            **asdict(self.provenance),
            "metrics": list(self.metrics),
            "complete": self.is_complete,
            "systems": [system.to_json() for system in self.systems],
            "differences": [difference.to_json() for difference in self.differences],
            "unmatched": list(self.unmatched),
        }
