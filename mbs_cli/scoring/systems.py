"""Several systems scored on the same files: the same job as `mbs score`, as one call.

Imports nothing heavy until there is something to score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path

from mbs_cli.errors import UsageError
from mbs_cli.scoring.comparison import Comparison, SystemScores
from mbs_cli.scoring.matching import MatchedSystem, Matching, match
from mbs_cli.scoring.metrics import LONE_METRICS, REFERENCE_METRICS, check_metrics
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.provenance import provenance
from mbs_cli.scoring.runner import iterate_scores
from mbs_cli.scoring.score import PairScore
from mbs_cli.scoring.summary import Difference, Summary

OnScored = Callable[[int, int, str, PairScore], None]


def score_systems(
    reference: Path | None,
    estimates: Sequence[Path],
    *,
    noisy: Path | None = None,
    metrics: Sequence[str] | None = None,
    trim: bool = False,
    align: bool = False,
    jobs: int | None = None,
    weights_sha256: Mapping[Path, str] | None = None,
    command: str = "",
    on_scored: OnScored | None = None,
) -> Comparison:
    """Score files or folders of one or more systems against those of `reference`.

    Args:
        reference: None scores without references, with metrics that need none.
        estimates: one file or folder per system.
        noisy: the unprocessed input, one more system and the first.
        metrics: keys of `metrics.METRICS`; None takes all that need a reference, or all that
            need none.
        trim: compare what both have where the lengths differ.
        align: take the measured lag out of every estimate.
        jobs: processes; None takes every core.
        weights_sha256: by estimate, of the model that made it.
        command: recorded as it is.
        on_scored: called with the rows so far, all rows, the system's name and the row.

    A file without counterpart has a row without scores. Interrupted by Ctrl-C it returns what was
    scored so far, `is_complete` False.

    Raises:
        UsageError: a metric that does not exist or needs the reference that is not there, or the
            weights of something that is not scored.
        DataError: nothing there, or nothing that belongs together.
    """
    keys = _check_choice(metrics, has_reference=reference is not None)
    matching = match(reference, estimates, noisy)
    hashes = _by_source(weights_sha256 or {}, matching)
    rows: dict[str, list[PairScore]] = {system.name: [] for system in matching.systems}
    is_complete = False
    try:
        for done, (system, row) in enumerate(_rows(matching, keys, trim, align, jobs), start=1):
            rows[system.name].append(row)
            if on_scored is not None:
                on_scored(done, len(matching.names) * len(rows), system.name, row)
        is_complete = True
    except KeyboardInterrupt:
        if not any(rows.values()):
            raise
    systems = [
        _summarise(system, rows[system.name], keys, hashes.get(system.source.resolve()))
        for system in matching.systems
    ]
    return Comparison(
        keys,
        tuple(systems),
        tuple(paired_differences(systems, keys)),
        provenance(command, trim=trim, align=align),
        tuple(str(path) for system in matching.systems for path in system.unmatched),
        is_complete,
    )


def _check_choice(metrics: Sequence[str] | None, has_reference: bool) -> tuple[str, ...]:
    if metrics is None:
        return REFERENCE_METRICS if has_reference else LONE_METRICS
    keys = check_metrics(metrics)
    lacking = [key for key in keys if key in REFERENCE_METRICS]
    if lacking and not has_reference:
        raise UsageError(
            f"{', '.join(lacking)}: needs a reference",
            f"without references there are {', '.join(LONE_METRICS)}",
        )
    if not keys:
        raise UsageError("no metrics chosen", f"choose from {', '.join(REFERENCE_METRICS)}")
    return keys


def _by_source(weights_sha256: Mapping[Path, str], matching: Matching) -> dict[Path, str]:
    """The hashes by the true path of the system that they belong to."""
    sources = {system.source.resolve(): system.source for system in matching.systems}
    for path in weights_sha256:
        if path.resolve() not in sources:
            raise UsageError(
                f"--weights {path}=...: this is not among the systems that are scored",
                f"name one of {', '.join(map(str, sources.values()))}",
            )
    return {path.resolve(): known for path, known in weights_sha256.items()}


def _rows(
    matching: Matching, keys: Sequence[str], trim: bool, align: bool, jobs: int | None
) -> Iterator[tuple[MatchedSystem, PairScore]]:
    """File by file and within it system by system, so that a part of it is worth something."""

    def pairs() -> Iterator[ScorePair]:
        for name, system in _grid(matching):
            if name in system.estimates:
                reference, estimate = matching.references.get(name), system.estimates[name]
                yield ScorePair(name, reference, estimate, trim, align)

    with closing(iterate_scores(pairs(), keys, jobs)) as scored:
        for name, system in _grid(matching):
            if name in system.estimates:
                yield system, next(scored)
            else:
                yield system, _missing(matching, name, system, keys)


def _grid(matching: Matching) -> Iterator[tuple[str, MatchedSystem]]:
    return ((name, system) for name in matching.names for system in matching.systems)


def _missing(
    matching: Matching, name: str, system: MatchedSystem, keys: Sequence[str]
) -> PairScore:
    reference = matching.references.get(name)
    reason = f"no counterpart in {system.source}"
    return PairScore(
        name,
        reasons=dict.fromkeys(keys, reason),
        reference=None if reference is None else str(reference),
    )


def _summarise(
    system: MatchedSystem, rows: Sequence[PairScore], keys: Sequence[str], weights: str | None
) -> SystemScores:
    summaries = {
        key: Summary.of([row.values[key] for row in rows if key in row.values]) for key in keys
    }
    return SystemScores(
        system.name, tuple(rows), summaries, str(system.source), system.is_noisy, weights
    )


def paired_differences(
    systems: Sequence[SystemScores], keys: Sequence[str]
) -> Iterator[Difference]:
    """For each two systems the later one minus the earlier one, over the files of both."""
    for baseline, system in combinations(systems, 2):
        before = {row.name: row.values for row in baseline.rows}
        for key in keys:
            changes = [
                row.values[key] - before[row.name][key]
                for row in system.rows
                if key in row.values and key in before.get(row.name, {})
            ]
            yield Difference(system.name, baseline.name, key, Summary.of(changes))
