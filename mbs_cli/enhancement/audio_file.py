"""One audio file of any length: read, to 16 kHz, enhance, back, write, all in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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
    """A file without samples is copied, or written anew in another format; raises AudioError."""
    if replace(task.output, frames=task.info.frames) == task.info:
        copy_whole(task.info.path, task.target)
        return task.done(note="no samples: copied as it is")
    with AudioWriter(task.target, task.output):
        return task.done(note="no samples")


def enhance_in_blocks(model: BoundedModel, task: Task, listen: Listener) -> FileReport:
    """Enhance one file of any length; raises AudioError, and then leaves no output."""
    info = task.info
    rate_hz, channels = info.sample_rate_hz, info.channels
    blocks = _read_and_tell(info, block_frames(model, rate_hz, channels), listen)
    enhanced_blocks = enhance_blocks(
        model, blocks, rate_hz, channels, task.treatment, task.output.sample_rate_hz
    )
    writer = AudioWriter(task.target, task.output, task.clip)
    with writer, written_behind(writer.write) as write:
        for enhanced in enhanced_blocks:
            write(check_finite(enhanced, info))
    return task.done(writer.clipped_samples, writer.gain_db, writer.note)


def _read_and_tell(info: AudioFileInfo, frames: int, listen: Listener) -> Iterator[Samples]:
    """The blocks of a file, each told of once it has been worked on."""
    for block in read_ahead(read_blocks(info, frames)):
        yield block
        listen(Advanced(info.path, block.shape[1] / info.sample_rate_hz))


def check_finite(samples: Samples, info: AudioFileInfo) -> Samples:
    """The samples; raises AudioError if one of them is no number any more."""
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{info.path}: its samples are too large to compute with, full scale is 1",
            "bring it to a normal level first",
        )
    return samples
