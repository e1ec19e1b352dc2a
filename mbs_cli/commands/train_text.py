"""The events of a training run as lines of text."""

from __future__ import annotations

from mbs_cli.commands.data_report import data_lines
from mbs_cli.data.report import DataReport
from mbs_cli.scoring.metrics import METRICS
from mbs_cli.training.events import (
    Decoding,
    Event,
    Failed,
    Finished,
    MicroBatchHalved,
    Remark,
    Report,
    Saved,
    Scoring,
    Started,
    StoppedEarly,
    Validated,
)


def describe(event: Event) -> str:
    """An event as one line of text (a few for the data report)."""
    match event:
        case Decoding(done, total):
            text = f"decoding audio once: {done} of {total} files"
        case Scoring(done, total):
            text = f"scoring held-out utterances: {done} of {total}"
        case DataReport():
            text = "\n".join(data_lines(event))
        case Started():
            start = f"from step {event.step}" if event.step else "from the start"
            place = f"on {event.device} in {event.precision}"
            text = f"{event.model}: {event.parameters:,} parameters {place}, {start}"
        case Report():
            text = _describe_report(event)
        case Validated():
            text = _describe_validation(event)
        case _:
            text = _describe_turn(event)
    return text


def _describe_turn(
    event: MicroBatchHalved | StoppedEarly | Saved | Remark | Finished | Failed,
) -> str:
    match event:
        case MicroBatchHalved(step, size):
            return f"step {step}: memory ran out; from here on --micro-batch {size}, same gradient"
        case StoppedEarly(step, validations):
            return f"step {step}: no better score in {validations} validations, see --patience"
        case Saved():
            return f"step {event.step}: saved {event.path}"
        case Remark(text):
            return f"note: {text}"
        case Finished():
            return f"step {event.step}: {'done' if event.complete else 'stopped'}"
        case Failed(message):
            return f"failed: {message}"


def _describe_report(event: Report) -> str:
    parts = " ".join(f"{name} {value:.4f}" for name, value in event.parts.items())
    skipped = f", {event.skipped_steps} steps skipped" if event.skipped_steps else ""
    return (
        f"step {event.step}: loss {event.loss:.4f} ({parts}), "
        f"gradient {event.gradient_norm:.2f}, rate {event.learning_rate:.2e}, "
        f"{event.clips_per_second:.1f} clips/s, data wait {event.data_wait_share:.0%}, "
        f"memory {memory(event.peak_memory_bytes)}{skipped}, "
        f"{duration(event.seconds_left)} left"
    )


def _describe_validation(event: Validated) -> str:
    scores: list[str] = []
    for name, value in event.scores.items():
        metric = METRICS[name]
        noisy = metric.show(event.noisy_scores.get(name))
        label = "noisy " if not scores else ""  # once is enough to tell what the brackets hold
        scores.append(f"{metric.title} {metric.show(value)} ({label}{noisy})")
    shown = ", ".join(scores) or "no scores"
    return f"step {event.step}: {shown}{', best' if event.is_best else ''}"


def duration(seconds: float) -> str:
    """For example 1:05:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def memory(size_bytes: int | None) -> str:
    """For example 1.2 GiB."""
    return "unknown" if size_bytes is None else f"{size_bytes / 2**30:.1f} GiB"
