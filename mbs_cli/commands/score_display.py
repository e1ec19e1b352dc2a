"""What `mbs score` shows: progress and findings on stderr, tables on stdout."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mbs_cli.scoring.comparison import Comparison, SystemScores
from mbs_cli.scoring.metrics import METRICS, Metric
from mbs_cli.scoring.score import PairScore
from mbs_cli.scoring.summary import Difference, Summary
from mbs_cli.scoring.systems import OnScored

_SYSTEMS_PER_TABLE = 3
_NAMES_PER_REASON = 5
_LINES_OF_PROGRESS = 10  # where there is no terminal


@contextmanager
def open_display() -> Iterator[OnScored]:
    """A listener that shows on stderr how far the scoring is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _print_progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("scoring", total=None)

        def show(done: int, total: int, _: str, row: PairScore) -> None:
            progress.update(task, completed=done, total=total, description=row.name[-40:])

        yield show


def _print_progress(done: int, total: int, _: str, row: PairScore) -> None:
    step = max(1, total // _LINES_OF_PROGRESS)
    if done % step == 0 or done == total:
        print(f"scored {done} of {total}: {row.name}", file=sys.stderr, flush=True)


def print_findings(comparison: Comparison) -> None:
    """What is not in the means and why, and which systems are late, on stderr."""
    for system in comparison.systems:
        for reason, names in _names_by_reason(system).items():
            shown = ", ".join(names[:_NAMES_PER_REASON])
            rest = len(names) - _NAMES_PER_REASON
            more = f" and {rest} more" if rest > 0 else ""
            print(f"n/a: {system.name}: {reason}: {shown}{more}", file=sys.stderr)
        if lag := _describe_lag(system):
            print(f"lag: {system.name}: {lag}", file=sys.stderr)
    for path in comparison.unmatched:
        print(f"n/a: {path}: no reference of that name", file=sys.stderr)


def _names_by_reason(system: SystemScores) -> dict[str, list[str]]:
    """Which files lack which metrics for the same reason."""
    found: dict[str, list[str]] = {}
    for row in system.rows:
        for reason in dict.fromkeys(row.reasons.values()):
            keys = [key for key, cause in row.reasons.items() if cause == reason]
            is_everything = len(keys) == len(system.summaries)
            prefix = "" if is_everything else f"{', '.join(keys)}: "
            found.setdefault(prefix + reason, []).append(row.name)
    return found


def _describe_lag(system: SystemScores) -> str:
    lags = [lag for row in system.rows if (lag := row.facts.lag_samples)]
    if not lags:
        return ""
    aligned = all(row.facts.is_aligned for row in system.rows if row.facts.lag_samples)
    done = "taken out" if aligned else "--align takes it out"
    return (
        f"{len(lags)} of {system.files} files are not aligned, the median of them by "
        f"{median(lags):+g} samples at 16 kHz ({median(lags) / 16:+.1f} ms); {done}"
    )


def print_tables(comparison: Comparison) -> None:
    """Means with intervals, and what the other systems change against the first, on stdout."""
    console = Console()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a system's name need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    metrics = [METRICS[key] for key in comparison.metrics]
    for systems in _side_by_side(comparison.systems):
        console.print(_means_table(systems, metrics))
    baseline, *others = comparison.systems
    for systems in _side_by_side(others):
        console.print(_difference_table(comparison, baseline, systems, metrics))


def _side_by_side(systems: Sequence[SystemScores]) -> Iterator[Sequence[SystemScores]]:
    for start in range(0, len(systems), _SYSTEMS_PER_TABLE):
        yield systems[start : start + _SYSTEMS_PER_TABLE]


def _means_table(systems: Sequence[SystemScores], metrics: Sequence[Metric]) -> Table:
    table = Table(title="mean [95 % interval]")
    table.add_column("")
    for system in systems:
        heading = f"{system.name}\n{system.scored} of {system.files} scored"
        table.add_column(Text(heading), justify="right")
    for metric in metrics:
        cells = [_mean_cell(metric, system.summaries[metric.key], system) for system in systems]
        table.add_row(_heading(metric), *cells)
    return table


def _heading(metric: Metric) -> str:
    return metric.heading if metric.higher_is_better else f"{metric.heading} (lower is better)"


def _mean_cell(metric: Metric, summary: Summary, system: SystemScores) -> Text:
    text = metric.show(summary.mean)
    if summary.low is not None:
        text += rf" [{metric.show(summary.low)}, {metric.show(summary.high)}]"
    if 0 < summary.n != system.scored:
        text += f" n={summary.n}"
    return Text(text)


def _difference_table(
    comparison: Comparison,
    baseline: SystemScores,
    systems: Sequence[SystemScores],
    metrics: Sequence[Metric],
) -> Table:
    table = Table(title=Text(f"difference from {baseline.name}, file by file [95 % interval]"))
    table.caption = "* better, ! worse: the interval leaves out zero"
    table.add_column("")
    for system in systems:
        table.add_column(Text(system.name), justify="right")
    for metric in metrics:
        found = [comparison.difference(s.name, baseline.name, metric.key) for s in systems]
        table.add_row(_heading(metric), *(_difference_cell(metric, one) for one in found))
    return table


def _difference_cell(metric: Metric, difference: Difference | None) -> Text:
    if difference is None or difference.summary.mean is None:
        return Text("n/a")
    summary = difference.summary
    assert summary.mean is not None
    text = f"{summary.mean:+.{metric.decimals}f}"
    if summary.low is not None:
        text += f" [{summary.low:+.{metric.decimals}f}, {summary.high:+.{metric.decimals}f}]"
    if not difference.is_clear:
        return Text(text + "  ")
    is_better = (summary.mean > 0) is metric.higher_is_better
    return Text(text + (" *" if is_better else " !"), style="green" if is_better else "red")
