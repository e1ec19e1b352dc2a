"""Files before and after enhancement, compared without references.

Rated with the metrics that need no reference, if their package is there; else there is nothing to
rank by, and the page is for listening and looking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from mbs_cli.scoring.comparison import Comparison, SystemScores
from mbs_cli.scoring.facts import PairFacts
from mbs_cli.scoring.metrics import LONE_METRICS
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.provenance import provenance
from mbs_cli.scoring.runner import iterate_scores
from mbs_cli.scoring.score import PairScore, empty_row
from mbs_cli.scoring.summary import Summary
from mbs_cli.scoring.systems import paired_differences

BEFORE, AFTER = "before", "after"
LONGEST_RATED_SECONDS = 300.0  # scoring holds a whole file in memory, enhancing does not

OnScored = Callable[[int, int, str, PairScore], None]


@dataclass(frozen=True)
class BeforeAfter:
    """One file that was enhanced."""

    name: str
    before: Path
    after: Path
    seconds: float | None = None


def compare_before_after(
    files: Sequence[BeforeAfter],
    *,
    weights_sha256: str | None = None,
    command: str = "",
    jobs: int | None = None,
    on_scored: OnScored | None = None,
) -> Comparison:
    """Two systems, `before` and `after`, with a row per file.

    Args:
        files: their names differ.
        weights_sha256: of the model that enhanced them.
        command: recorded as it is.
        jobs: processes; None takes every core.
        on_scored: called with the rows so far, all rows, the system's name and the row.
    """
    keys = LONE_METRICS if find_spec("speechmos") and find_spec("onnxruntime") else ()
    rows: dict[str, list[PairScore]] = {BEFORE: [], AFTER: []}
    for done, (system, row) in enumerate(_rows(files, keys, jobs), start=1):
        rows[system].append(row)
        if on_scored is not None and keys:
            on_scored(done, 2 * len(files), system, row)
    systems = (
        _system(BEFORE, rows[BEFORE], keys, is_noisy=True),
        _system(AFTER, rows[AFTER], keys, weights_sha256=weights_sha256),
    )
    return Comparison(
        keys,
        systems,
        tuple(paired_differences(systems, keys)),
        provenance(command, trim=False, align=False),
    )


def _rows(
    files: Sequence[BeforeAfter], keys: Sequence[str], jobs: int | None
) -> Iterator[tuple[str, PairScore]]:
    """Both rows of every file, in the order of the files."""
    rated = [file for file in files if keys and not _is_long(file)]
    pairs = (pair for file in rated for pair in _pairs(file))
    with closing(iterate_scores(pairs, keys, jobs)) as scored:
        for file in files:
            for system, pair in zip((BEFORE, AFTER), _pairs(file), strict=True):
                is_rated = bool(keys) and not _is_long(file)
                yield system, next(scored) if is_rated else _not_rated(file, pair, keys)


def _pairs(file: BeforeAfter) -> tuple[ScorePair, ScorePair]:
    return ScorePair(file.name, None, file.before), ScorePair(file.name, None, file.after)


def _is_long(file: BeforeAfter) -> bool:
    return file.seconds is not None and file.seconds > LONGEST_RATED_SECONDS


def _not_rated(file: BeforeAfter, pair: ScorePair, keys: Sequence[str]) -> PairScore:
    reason = f"longer than {LONGEST_RATED_SECONDS:g} s: not rated"
    row = replace(empty_row(pair), facts=PairFacts(seconds=file.seconds))
    row.reasons.update(dict.fromkeys(keys, reason))
    return row


def _system(
    name: str,
    rows: Sequence[PairScore],
    keys: Sequence[str],
    *,
    is_noisy: bool = False,
    weights_sha256: str | None = None,
) -> SystemScores:
    summaries = {
        key: Summary.of([row.values[key] for row in rows if key in row.values]) for key in keys
    }
    return SystemScores(
        name, tuple(rows), summaries, is_noisy=is_noisy, weights_sha256=weights_sha256
    )
