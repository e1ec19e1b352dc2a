"""Which files of a comparison a page carries the sound of: the worst, the best, the typical."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from mbs_cli.scoring.comparison import Comparison, SystemScores
from mbs_cli.scoring.metrics import METRICS


def main_system(comparison: Comparison) -> SystemScores:
    """The one that a page is about: the last that is not the unprocessed input."""
    processed = [system for system in comparison.systems if not system.is_noisy]
    return (processed or list(comparison.systems))[-1]


def file_names(comparison: Comparison) -> list[str]:
    """Every file that any system has, once, in the order of the systems."""
    return list(dict.fromkeys(row.name for system in comparison.systems for row in system.rows))


def files_to_hear(comparison: Comparison, max_files: int) -> list[str]:
    """At most that many names, the most telling first.

    By every metric in turn the worst, the best and the middle one, then those next to them, until
    there are enough. Without any value: evenly spread over all files.
    """
    names = file_names(comparison)
    rankings = [ranking for key in comparison.metrics if (ranking := _ranking(comparison, key))]
    telling = dict.fromkeys(name for turn in _turns(rankings) for name in turn)
    spread = _evenly(names, max_files) if not telling else names
    return list(islice(dict.fromkeys([*telling, *spread]), max_files))


def _ranking(comparison: Comparison, metric: str) -> list[str]:
    """The names that have a value, the worst first."""
    rows = [row for row in main_system(comparison).rows if metric in row.values]
    higher_is_better = METRICS[metric].higher_is_better
    rows.sort(key=lambda row: row.values[metric], reverse=not higher_is_better)
    return [row.name for row in rows]


def _turns(rankings: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    longest = max(map(len, rankings), default=0)
    for place in range(longest):
        for ranking in rankings:
            if place < len(ranking):
                middle = (len(ranking) // 2 + place) % len(ranking)
                yield ranking[place], ranking[-1 - place], ranking[middle]


def _evenly(names: Sequence[str], count: int) -> list[str]:
    step = max(1, -(-len(names) // max(count, 1)))
    return list(names[::step])
