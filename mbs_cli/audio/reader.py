"""Reading an audio file block by block, so that memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soundfile

from mbs_cli.audio.ffmpeg_reader import read_ffmpeg_blocks
from mbs_cli.audio.file_info import AudioFileInfo, open_sound, stamp_of
from mbs_cli.audio.samples import Samples
from mbs_cli.errors import AudioError


def read_blocks(info: AudioFileInfo, block_frames: int) -> Iterator[Samples]:
    """Yield the samples as blocks (C, S), S = `block_frames` but for the last.

    Raises AudioError for a damaged file, for NaN or infinite samples (naming the first), for a
    file that was written to since `info` was read, and at the end if there were fewer samples
    than the header promised.
    """
    position = 0
    is_native = info.media is None
    blocks = _read_native_blocks if is_native else read_ffmpeg_blocks
    try:
        for block in blocks(info, block_frames):
            _check_finite(block, info, position)
            position += block.shape[1]
            yield block
    except AudioError:
        _check_unchanged(info)
        raise
    _check_unchanged(info)
    if is_native and position < info.frames:
        raise cut_short(info, position)


def cut_short(info: AudioFileInfo, frames: int) -> AudioError:
    """What to raise for a file with so many samples where its header promised more."""
    return AudioError(
        f"{info.path}: the file is cut short (its header promises {info.frames} samples, "
        f"{frames} are there)",
        "copy or record it again",
    )


def _read_native_blocks(info: AudioFileInfo, block_frames: int) -> Iterator[Samples]:
    position = 0
    with open_sound(info.path) as sound:
        while (block := _read(sound, info, block_frames, position)).size:
            position += block.shape[1]
            yield block


def _read(sound: soundfile.SoundFile, info: AudioFileInfo, frames: int, position: int) -> Samples:
    try:
        return np.ascontiguousarray(sound.read(frames, dtype="float32", always_2d=True).T)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{info.path}: damaged or cut short after {position / info.sample_rate_hz:.2f} s "
            f"of {info.seconds:.2f} s ({error.error_string.rstrip('.')})",
            "copy or record it again",
        ) from error


def _check_unchanged(info: AudioFileInfo) -> None:
    """A file that grows, shrinks or is replaced while it is read gives neither state of it."""
    try:
        stamp = stamp_of(info.path)
    except OSError:
        stamp = (0, 0)
    if stamp != info.stamp:
        raise AudioError(
            f"{info.path}: the file was written to while it was read "
            f"({info.stamp[0]} bytes before, {stamp[0]} after)",
            "run again when nothing writes to it any more",
        )


def _check_finite(samples: Samples, info: AudioFileInfo, position: int) -> None:
    bad = ~np.isfinite(samples)
    if not bad.any():
        return
    sample = int(bad.any(axis=0).argmax())
    channel = int(bad[:, sample].argmax())
    raise AudioError(
        f"{info.path}: sample {position + sample} of channel {channel + 1} "
        f"({(position + sample) / info.sample_rate_hz:.3f} s) is {samples[channel, sample]}, "
        "expected finite numbers",
        "repair or re-export the file; NaN and infinity are not sound",
    )
