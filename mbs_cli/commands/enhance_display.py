"""What `mbs enhance` shows: a bar on a terminal, one line per file elsewhere, a closing table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from mbs_cli.commands.error_text import print_error
from mbs_cli.commands.text_output import STDOUT, write_text
from mbs_cli.enhancement.report import (
    Advanced,
    CompilingKernels,
    EnhanceReport,
    Event,
    FileReport,
    Finished,
    Listener,
    MovedToCpu,
    Started,
    Status,
    StreamOpened,
)

_COMPILING = "compiling kernels once, about 20 s"


@contextmanager
def open_display() -> Iterator[Listener]:
    """A listener that shows events on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield print_event
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s of audio"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress).show


class _Bar:
    """A bar over seconds of audio, with the failures written above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("enhancing", total=0.0)

    def show(self, event: Event) -> None:
        """Move the bar."""
        match event:
            case Started(seconds=seconds):
                self._progress.update(self._task, total=seconds)
            case CompilingKernels():
                self._progress.console.print(_COMPILING)
            case MovedToCpu(device=device):
                self._progress.console.print(_moved(device))
            case Advanced(source=source, seconds=seconds):
                self._progress.update(self._task, advance=seconds, description=source.name)
            case Finished(report=report) if report.failure or report.note:
                _print_file(report)


def print_event(event: Event) -> None:
    """One line on stderr for what is worth one."""
    match event:
        case CompilingKernels():
            print(_COMPILING, file=sys.stderr, flush=True)
        case MovedToCpu(device=device):
            print(_moved(device), file=sys.stderr, flush=True)
        case StreamOpened():
            print(_opened(event), file=sys.stderr, flush=True)
        case Finished(report=report) if report.status is not Status.SKIPPED:
            _print_file(report)


def _moved(device: str) -> str:
    return f"{device} has too little memory, even for the shortest stretch: going on with the CPU"


def _opened(event: StreamOpened) -> str:
    text = (
        f"stream: {event.sample_rate_hz} Hz, {event.channels} channels, "
        f"{event.delay_seconds * 1000:.0f} ms behind its input"
    )
    return text if event.is_causal else text + " (a causal model such as mbs-net waits far less)"


def _print_file(report: FileReport) -> None:
    if report.failure is not None:
        print_error(report.failure)
        return
    note = f" ({report.note})" if report.note else ""
    print(f"{report.status}: {report.source} -> {report.target}{note}", file=sys.stderr, flush=True)


def print_summary(report: EnhanceReport, as_json: bool) -> None:
    """The result on stdout: a table, or one JSON document."""
    if as_json:
        write_text(STDOUT, json.dumps(report.to_json(), indent=2) + "\n")
        return
    factor = report.real_time_factor
    table = Table("", "", show_header=False)
    table.add_row("enhanced", f"{report.count(Status.DONE)} files")
    table.add_row("skipped, done before", f"{report.count(Status.SKIPPED)} files")
    table.add_row("failed", f"{report.count(Status.FAILED)} files")
    table.add_row("audio", f"{report.audio_seconds:.1f} s")
    table.add_row("time", f"{report.elapsed_seconds:.1f} s")
    table.add_row("real-time factor", "-" if factor is None else f"{factor:.3f}")
    Console().print(table)
