"""One audio file of any length: read, to 16 kHz, enhance, back, write, all in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.writer import AudioWriter, copy_whole
from mbs_cli.enhancement.blocks import block_frames, enhance_blocks
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.overlap import read_ahead, written_behind
from mbs_cli.enhancement.report import Advanced, FileReport, Listener
from mbs_cli.enhancement.task import Task
from mbs_cli.errors import AudioError


def copy_empty(task: Task) -> FileReport:
    """A file without samples is copied; raises AudioError."""
    copy_whole(task.info.path, task.target)
    return task.done(note="no samples: copied as it is")


def enhance_in_blocks(model: BoundedModel, task: Task, listen: Listener) -> FileReport:
    """Enhance one file of any length; raises AudioError, and then leaves no output."""
    info = task.info
    blocks = _read_and_tell(info, block_frames(model, info.sample_rate_hz, info.channels), listen)
    with AudioWriter(task.target, info) as writer, written_behind(writer.write) as write:
        for enhanced in enhance_blocks(model, blocks, info.sample_rate_hz, info.channels):
            write(check_finite(enhanced, info))
    return report_written(task, writer.clipped_samples)


def _read_and_tell(info: AudioFileInfo, frames: int, listen: Listener) -> Iterator[Samples]:
    """The blocks of a file, each told of once it has been worked on."""
    for block in read_ahead(read_blocks(info, frames)):
        yield block
        listen(Advanced(info.path, block.shape[1] / info.sample_rate_hz))


def report_written(task: Task, clipped: int) -> FileReport:
    """The report of a file that was written, with so many of its samples past full scale."""
    return task.done(clipped, f"{clipped} samples past full scale were clipped" if clipped else "")


def check_finite(samples: Samples, info: AudioFileInfo) -> Samples:
    """The samples; raises AudioError if one of them is no number any more."""
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{info.path}: its samples are too large to compute with, full scale is 1",
            "bring it to a normal level first",
        )
    return samples
