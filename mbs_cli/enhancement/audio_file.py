"""One audio file, or a few short ones together: read, to 16 kHz, enhance, back, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.writer import AudioWriter, copy_whole
from mbs_cli.enhancement.blocks import block_frames, enhance_blocks
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.enhancer import enhance_together
from mbs_cli.enhancement.report import Advanced, FileReport, Listener
from mbs_cli.enhancement.signal_path import SignalPath
from mbs_cli.enhancement.task import Task
from mbs_cli.errors import AudioError, MbsError


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
    with AudioWriter(task.target, task.output, task.clip) as writer:
        for enhanced in enhanced_blocks:
            writer.write(_finite(enhanced, info))
    return _report(task, writer)


def _read_and_tell(info: AudioFileInfo, frames: int, listen: Listener) -> Iterator[Samples]:
    """The blocks of a file, each told of once it has been worked on."""
    for block in read_blocks(info, frames):
        yield block
        listen(Advanced(info.path, block.shape[1] / info.sample_rate_hz))


def enhance_batch(model: BoundedModel, tasks: Sequence[Task], listen: Listener) -> list[FileReport]:
    """Enhance short files in one call of a causal model; what fails is reported, not raised."""
    reports: list[FileReport] = []
    loaded: list[_Loaded] = []
    for task in tasks:
        try:
            loaded.append(_load(task))
        except MbsError as error:
            reports.append(task.failed(error))
    signals = [item.at_model_rate for item in loaded]
    mode = tasks[0].treatment.channels
    enhanced = enhance_together(model, signals, mode) if loaded else []
    for item, signal in zip(loaded, enhanced, strict=True):
        listen(Advanced(item.task.info.path, item.task.info.seconds))
        try:
            reports.append(_store(item, signal))
        except MbsError as error:
            reports.append(item.task.failed(error))
    return reports


@dataclass(frozen=True)
class _Loaded:
    """A short file in memory, on its way to the model."""

    task: Task
    path: SignalPath
    at_model_rate: Samples


def _load(task: Task) -> _Loaded:
    info = task.info
    samples = np.concatenate(list(read_blocks(info, info.frames)), axis=1)
    path = SignalPath(
        info.sample_rate_hz, info.channels, task.treatment, task.output.sample_rate_hz
    )
    return _Loaded(task, path, path.to_model(samples, last=True))


def _store(item: _Loaded, enhanced: Samples) -> FileReport:
    info = item.task.info
    with AudioWriter(item.task.target, item.task.output, item.task.clip) as writer:
        writer.write(_finite(item.path.from_model(enhanced, last=True), info))
    return _report(item.task, writer)


def _report(task: Task, writer: AudioWriter) -> FileReport:
    return task.done(writer.clipped_samples, writer.gain_db, writer.note)


def _finite(samples: Samples, info: AudioFileInfo) -> Samples:
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{info.path}: its samples are too large to compute with, full scale is 1",
            "bring it to a normal level first",
        )
    return samples
