"""What the page's script is given: the comparison as compact plain values.

Systems and metrics are told by their place in `systems` and `metrics`: a comparison of 10,000
files would otherwise repeat their names a hundred thousand times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mbs_cli.scoring.comparison import Comparison, SystemScores
from mbs_cli.scoring.metrics import METRICS
from mbs_cli.scoring.report.clip import LONGEST_SECONDS
from mbs_cli.scoring.report.selection import file_names, main_system
from mbs_cli.scoring.score import PairScore
from mbs_cli.scoring.summary import Summary

_SIGNIFICANT_DIGITS = 6


def view_of(comparison: Comparison, heard: Sequence[str], title: str) -> dict[str, Any]:
    """The whole page but for sounds and images; `heard` names the files that have these."""
    places = {name: place for place, name in enumerate(heard)}
    systems = comparison.systems
    rows = [{row.name: row for row in system.rows} for system in systems]
    return {
        "title": title,
        "isComplete": comparison.is_complete,
        "unmatched": list(comparison.unmatched),
        "metrics": [_metric(key) for key in comparison.metrics],
        "systems": [_system(system, comparison.metrics) for system in systems],
        "mainSystem": systems.index(main_system(comparison)),
        "differences": _differences(comparison),
        "files": [
            {
                "name": name,
                "clip": places.get(name),
                "results": [_result(found.get(name), comparison.metrics) for found in rows],
            }
            for name in file_names(comparison)
        ],
        "longestSeconds": LONGEST_SECONDS,
        "provenance": _provenance(comparison),
    }


def _metric(key: str) -> dict[str, Any]:
    metric = METRICS[key]
    return {
        "title": metric.title,
        "unit": metric.unit,
        "decimals": metric.decimals,
        "isHigherBetter": metric.higher_is_better,
    }


def _system(system: SystemScores, metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "name": system.name,
        "isNoisy": system.is_noisy,
        "files": system.files,
        "scored": system.scored,
        "summaries": [_summary(system.summaries[key]) for key in metrics],
    }


def _summary(summary: Summary) -> dict[str, Any]:
    return asdict(summary)


def _differences(comparison: Comparison) -> list[dict[str, Any]]:
    systems = {system.name: place for place, system in enumerate(comparison.systems)}
    metrics = {key: place for place, key in enumerate(comparison.metrics)}
    return [
        {
            "system": systems[difference.system],
            "baseline": systems[difference.baseline],
            "metric": metrics[difference.metric],
            "isClear": difference.is_clear,
            **_summary(difference.summary),
        }
        for difference in comparison.differences
    ]


def _result(row: PairScore | None, metrics: Sequence[str]) -> dict[str, Any] | None:
    """The values in the order of the metrics, and what else was found about the pair."""
    if row is None:
        return None
    result: dict[str, Any] = {"values": [_rounded(row.values.get(key)) for key in metrics]}
    if row.reasons:
        result["reasons"] = [row.reasons.get(key) for key in metrics]
    if row.facts.seconds is not None:
        result["seconds"] = round(row.facts.seconds, 3)
    if row.facts.lag_samples:
        result["lagSamples"] = row.facts.lag_samples
        result["isAligned"] = row.facts.is_aligned
    return result


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_SIGNIFICANT_DIGITS}g}")


def _provenance(comparison: Comparison) -> list[tuple[str, str]]:
    """Labels and texts of what it takes to get the same numbers again."""
    made = comparison.provenance
    versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    options = ", ".join(name for name, is_on in made.options.items() if is_on)
    sources = [(system.name, text) for system in comparison.systems if (text := _source(system))]
    return [
        ("Command", made.command),
        ("Date", made.date),
        ("Compared at", f"{made.sample_rate_hz} Hz"),
        ("Resampler", made.resampler),
        ("Options", options or "none"),
        ("Versions", versions),
        ("Platform", made.platform),
        *sources,
    ]


def _source(system: SystemScores) -> str:
    weights = f"weights SHA-256 {system.weights_sha256}" if system.weights_sha256 else ""
    return ", ".join(filter(None, (system.source, weights)))
