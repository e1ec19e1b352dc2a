"""What `mbs train` shows: a live view on a terminal, one line per event elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mbs_cli.commands.data_report import data_table
from mbs_cli.commands.train_live import LiveView
from mbs_cli.commands.train_text import describe, duration
from mbs_cli.data.report import DataReport
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.events import (
    Decoding,
    Event,
    Failed,
    Finished,
    MicroBatchHalved,
    OnEvent,
    Remark,
    Scoring,
    Started,
    StoppedEarly,
    Validated,
)

_DECODED_PER_LINE = 500
_FRAMES_PER_SECOND = 2
_ABOVE_THE_VIEW = (Started, MicroBatchHalved, Validated, StoppedEarly, Remark)


@contextmanager
def open_display(is_live: bool = True) -> Iterator[OnEvent]:
    """A listener that shows events on stderr; without a terminal, or if not `is_live`, as lines.

    If stderr can no longer be written, as when its reader has gone, the run goes on unseen.
    """
    console = Console(stderr=True)
    if not (console.is_terminal and is_live):
        yield _while_written(_print_event)
        return
    view = LiveView()
    with Live(view, console=console, refresh_per_second=_FRAMES_PER_SECOND) as live:

        def show(event: Event) -> None:
            if isinstance(event, DataReport):
                live.console.print(data_table(event))
            elif isinstance(event, _ABOVE_THE_VIEW):
                live.console.print(Text(describe(event)))
            view.take(event)

        yield _while_written(show)


def _while_written(show: OnEvent) -> OnEvent:
    is_written = True

    def on_event(event: Event) -> None:
        nonlocal is_written
        if is_written:
            try:
                show(event)
            except OSError:
                is_written = False

    return on_event


def _print_event(event: Event) -> None:
    if isinstance(event, Scoring | Failed):  # the one is brief, the other printed in the end
        return
    if isinstance(event, Decoding) and event.done % _DECODED_PER_LINE and event.done < event.total:
        return
    print(describe(event), file=sys.stderr, flush=True)


def print_finished(finished: Finished, config: TrainConfig) -> None:
    """Where the result is, on stdout."""
    if finished.complete:
        print(f"{finished.best}: trained for {finished.step} steps, {duration(finished.seconds)}")
    else:
        go_on = "; go on with --resume" if config.run_state.exists() else ""
        print(f"{config.out}: stopped after {finished.step} steps{go_on}")
