"""What `mbs train` shows: a live table on a terminal, one line per report elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from mbs_cli.training.config import TrainConfig
from mbs_cli.training.events import (
    DataReport,
    Decoding,
    Event,
    Finished,
    MicroBatchHalved,
    Report,
    Saved,
    Started,
    StoppedEarly,
    Validated,
)

_DECODED_PER_LINE = 500
_SHOWN_AS_LINES = (DataReport, Started, MicroBatchHalved, Validated, StoppedEarly)


@contextmanager
def open_display() -> Iterator[Callable[[Event], None]]:
    """A listener that shows events on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _print_event
        return
    view = _LiveView()
    with Live(view.render(), console=console, refresh_per_second=2) as live:

        def show(event: Event) -> None:
            if isinstance(event, _SHOWN_AS_LINES):
                live.console.print(describe(event))
            view.take(event)
            live.update(view.render())

        yield show


def _print_event(event: Event) -> None:
    if isinstance(event, Decoding) and event.done % _DECODED_PER_LINE and event.done < event.total:
        return
    print(describe(event), file=sys.stderr, flush=True)


def describe(event: Event) -> str:
    """An event as one line of text (a few for the data report)."""
    match event:
        case Decoding(done, total):
            text = f"decoding audio once: {done} of {total} files"
        case DataReport():
            text = _describe_data(event)
        case Started():
            start = f"from step {event.step}" if event.step else "from the start"
            text = f"{event.model}: {event.parameters:,} parameters on {event.device}, {start}"
        case MicroBatchHalved(step, size):
            text = f"step {step}: memory ran out; from here on --micro-batch {size}, same gradient"
        case StoppedEarly(step, validations):
            text = f"step {step}: no better score in {validations} validations, see --patience"
        case Report():
            text = _describe_report(event)
        case Validated():
            text = _describe_validation(event)
        case Saved():
            text = f"step {event.step}: saved {event.path}"
        case Finished():
            text = f"step {event.step}: {'done' if event.complete else 'stopped'}"
    return text


def _describe_report(event: Report) -> str:
    parts = " ".join(f"{name} {value:.4f}" for name, value in event.parts.items())
    return (
        f"step {event.step}: loss {event.loss:.4f} ({parts}), "
        f"gradient {event.gradient_norm:.2f}, rate {event.learning_rate:.2e}, "
        f"{event.clips_per_second:.1f} clips/s, data wait {event.data_wait_share:.0%}, "
        f"{duration(event.seconds_left)} left"
    )


def _describe_validation(event: Validated) -> str:
    names = {"pesq_wb": "PESQ", "stoi": "STOI", "si_sdr": "SI-SDR"}
    scores = ", ".join(
        f"{names[name]} {value:.3f} (noisy {event.noisy_scores[name]:.3f})"
        for name, value in event.scores.items()
    )
    return f"step {event.step}: validation: {scores}{', best' if event.is_best else ''}"


def _describe_data(event: DataReport) -> str:
    lines = [
        (
            f"training on {event.speech_hours:.2f} h of speech ({event.speakers} folders), "
            f"{event.noise_hours:.2f} h of noise ({event.noise_classes} folders), "
            f"{event.rooms} room responses; validating on {event.validation_items} mixtures"
        )
    ]
    lines += [f"left out {file}: {reason}" for file, reason in event.unreadable.items()]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """For example 1:05:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


class _LiveView:
    """The last report, the last validation and a bar over the whole run."""

    def __init__(self) -> None:
        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        self.task = self.bar.add_task("starting", total=1.0)
        self.report: Report | None = None

    def take(self, event: Event) -> None:
        match event:
            case Decoding(done, total):
                self.bar.update(self.task, description="decoding", completed=done / total)
            case Started():
                self.bar.update(self.task, description="training", completed=0.0)
            case Report():
                self.report = event
                text = f"training, {duration(event.seconds_left)} left"
                self.bar.update(self.task, description=text, completed=event.progress)

    def render(self) -> Group:
        table = Table(show_header=False, box=None)
        if self.report is not None:
            table.add_row("step", f"{self.report.step:,}")
            table.add_row("loss", f"{self.report.loss:.4f}")
            for name, value in self.report.parts.items():
                table.add_row(f"  {name}", f"{value:.4f}")
            table.add_row("gradient norm", f"{self.report.gradient_norm:.2f}")
            table.add_row("clips per second", f"{self.report.clips_per_second:.1f}")
            table.add_row("waiting for data", f"{self.report.data_wait_share:.0%}")
            table.add_row("skipped steps", f"{self.report.skipped_steps}")
        return Group(table, self.bar)


def print_finished(finished: Finished, config: TrainConfig) -> None:
    """Where the result is, on stdout."""
    if finished.complete:
        print(f"{finished.best}: trained for {finished.step} steps, {duration(finished.seconds)}")
    else:
        print(f"{config.out}: stopped after {finished.step} steps; go on with --resume")
