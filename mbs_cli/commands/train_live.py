"""The view of a training run on a terminal, drawn anew a few times a second."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mbs_cli.commands.train_text import describe, duration, memory
from mbs_cli.scoring.metrics import METRICS
from mbs_cli.training.events import (
    Decoding,
    Event,
    Finished,
    Report,
    Saved,
    Scoring,
    Started,
    Validated,
)

_MOST_COLUMNS = 96
_LEAST_BESIDE = 68  # narrower terminals get one part below the other
_HIGH_DATA_WAIT = 0.05
_BAR_COLUMNS = 28


class LiveView:
    """What rich draws: loss beside validation and speed, above a bar over the whole run."""

    def __init__(self) -> None:
        self._report: Report | None = None
        self._reported_at = 0.0
        self._validated: Validated | None = None
        self._saved: Saved | None = None
        self._aside: tuple[str, float] | None = ("starting", 0.0)  # work that is no training
        self._ending = ""

    def take(self, event: Event) -> None:
        """Show an event from the next frame on."""
        match event:
            case Decoding(done, total) | Scoring(done, total):
                self._aside = (describe(event), done / max(total, 1))
            case Started() | Validated():
                self._aside = None
            case Report():
                self._report, self._reported_at = event, time.monotonic()
            case Saved():
                self._saved = event
            case Finished():
                self._aside, self._ending = None, "done" if event.complete else "stopped"
        if isinstance(event, Validated):
            self._validated = event

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One frame, as wide as the terminal is now."""
        width = min(options.max_width, _MOST_COLUMNS)
        parts: list[RenderableType] = (
            [] if self._report is None else [_loss(self._report), self._beside(self._report)]
        )
        frame = Table.grid(padding=(0, 4, 0, 0))
        if width >= _LEAST_BESIDE:
            frame.add_row(*parts)
            frame.add_row("")
        else:
            for part in parts:
                frame.add_row(part)
                frame.add_row("")
        yield Group(frame, self._bar(), Text(self._footer(), style="dim"))

    def _beside(self, report: Report) -> Group:
        speed = _figures("speed", _speed(report))
        if self._validated is None:
            return Group(speed)
        return Group(_validation(self._validated), "", speed)

    def _bar(self) -> Table:
        text, share = self._aside or self._progress()
        line = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total=1.0, completed=share, width=_BAR_COLUMNS)
        line.add_row(bar, f"{share:4.0%}", Text(text, no_wrap=True, overflow="ellipsis"))
        return line

    def _progress(self) -> tuple[str, float]:
        """Time left and share done, carried on since the last report."""
        report = self._report
        if report is None:
            return "first steps", 0.0
        if self._ending:
            return f"{self._ending} at step {report.step:,}", report.progress
        left = max(report.seconds_left, 1e-9)
        passed = min(time.monotonic() - self._reported_at, left)
        share = report.progress + (1 - report.progress) * passed / left
        return f"{duration(left - passed)} left", share

    def _footer(self) -> str:
        saved = f"saved at step {self._saved.step:,}" if self._saved else "nothing saved yet"
        return saved if self._ending else f"{saved}; Ctrl-C saves and stops"


def _loss(report: Report) -> RenderableType:
    rows: list[tuple[str, str | Text]] = [("total", Text(f"{report.loss:.4f}", style="bold"))]
    rows += [
        (f"  {name.replace('_', ' ')}", f"{value:.4f}") for name, value in report.parts.items()
    ]
    rows += [
        ("gradient norm", f"{report.gradient_norm:.2f}"),
        ("learning rate", f"{report.learning_rate:.2e}"),
    ]
    return _figures(f"loss at step {report.step:,}", rows)


def _speed(report: Report) -> list[tuple[str, str | Text]]:
    wait, skipped = report.data_wait_share, report.skipped_steps
    return [
        ("clips per second", f"{report.clips_per_second:.1f}"),
        ("waiting for data", _marked(f"{wait:.0%}", wait > _HIGH_DATA_WAIT)),
        ("peak memory", memory(report.peak_memory_bytes)),
        ("skipped steps", _marked(f"{skipped:,}", skipped > 0)),
    ]


def _marked(text: str, is_bad: bool) -> Text:
    return Text(text, style="yellow" if is_bad else "")


def _figures(title: str, rows: Iterable[tuple[str, str | Text]]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, title=title)
    table.title_justify, table.title_style = "left", "bold"
    table.add_column(min_width=18)
    table.add_column(justify="right", min_width=10)
    for name, value in rows:
        table.add_row(name, value)
    return table


def _validation(event: Validated) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), title=f"validation at step {event.step:,}")
    table.title_justify, table.title_style = "left", "bold"
    table.add_column("", min_width=9)
    for side in ("noisy", "now", "best"):
        table.add_column(side, justify="right", header_style="dim")
    for name, value in event.scores.items():
        metric = METRICS[name]
        noisy = event.noisy_scores.get(name)
        is_better = noisy is None or (value > noisy) is metric.higher_is_better
        table.add_row(
            metric.heading,
            metric.show(noisy),
            Text(metric.show(value), style="green" if is_better else "red"),
            metric.show(event.best_scores.get(name)),
        )
    return table
