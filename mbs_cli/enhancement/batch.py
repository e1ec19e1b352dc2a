"""Short files in memory, on their way through the model together.

Reading and writing run in threads of their own, so what goes wrong there is a report, not raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.writer import AudioWriter
from mbs_cli.enhancement.audio_file import check_finite
from mbs_cli.enhancement.report import FileReport
from mbs_cli.enhancement.signal_path import SignalPath
from mbs_cli.enhancement.task import Task
from mbs_cli.errors import MbsError, OutOfMemory


@dataclass(frozen=True)
class Loaded:
    """One file, as the model is to hear it."""

    task: Task
    path: SignalPath
    at_model_rate: Samples


@dataclass(frozen=True)
class Batch:
    """A group of files that were read, those that could not be, or one that is read in blocks."""

    loaded: tuple[Loaded, ...] = ()
    failed: tuple[FileReport, ...] = ()
    alone: Task | None = None


def load_batch(group: Sequence[Task]) -> Batch:
    """Read a group of short files; a task by itself is left for later."""
    if len(group) == 1:
        return Batch(alone=group[0])
    loaded: list[Loaded] = []
    failed: list[FileReport] = []
    for task in group:
        try:
            loaded.append(_load_whole(task))
        except MbsError as error:
            failed.append(task.failed(error))
        except MemoryError:
            failed.append(task.failed(too_little_memory(task.info.path)))
    return Batch(tuple(loaded), tuple(failed))


def _load_whole(task: Task) -> Loaded:
    info = task.info
    samples = np.concatenate(list(read_blocks(info, info.frames)), axis=1)
    path = SignalPath(
        info.sample_rate_hz, info.channels, task.treatment, task.output.sample_rate_hz
    )
    return Loaded(task, path, path.to_model(samples, last=True))


def store_whole(item: Loaded, enhanced: Samples) -> FileReport:
    """Write a short file of enhanced samples (C, S) at 16 kHz."""
    task = item.task
    try:
        with AudioWriter(task.target, task.output, task.clip) as writer:
            writer.write(check_finite(item.path.from_model(enhanced, last=True), task.info))
    except MbsError as error:
        return task.failed(error)
    except MemoryError:
        return task.failed(too_little_memory(task.info.path))
    return task.done(writer.clipped_samples, writer.gain_db, writer.note)


def too_little_memory(path: Path) -> OutOfMemory:
    """The error of a file of which not even the least fits."""
    return OutOfMemory(
        f"{path}: there is not enough memory, even for the shortest stretch of it",
        "end other programs, or take a smaller model such as mbs-net-small",
    )
