"""Samples from ffmpeg, through a pipe."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from mbs_cli.audio.ffmpeg import input_options, start
from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.audio.samples import Samples
from mbs_cli.errors import AudioError

_BYTES = np.dtype(np.float32).itemsize
# How much less than its container's word a sound may be: the last frame of a codec, a time
# stamp rounded up.
_TOLERATED_SECONDS = 0.5


def read_ffmpeg_blocks(info: AudioFileInfo, block_frames: int) -> Generator[Samples, None, None]:
    """Yield the samples as blocks (C, S), S = `block_frames` but for the last.

    Gaps of more than 0.1 s in the time stamps become silence, so that a sound stays with its
    picture. What a codec adds past a length that its container knows exactly is left out.
    Raises AudioError for a file that ffmpeg finds damaged or cut short.
    """
    assert info.media is not None
    arguments = ["-nostdin", "-v", "error", "-xerror", *input_options(info.path)]
    arguments += ["-map", f"0:{info.media.sound}", "-ar", str(info.sample_rate_hz)]
    arguments += _channel_options(info)
    given = 0
    with start("ffmpeg", [*arguments, "-f", "f32le", "pipe:1"], info.path) as process:
        while raw := process.stdout.read(block_frames * info.channels * _BYTES):
            block = _samples(raw, info.channels)
            if info.has_exact_length:
                block = block[:, : info.frames - given]
            given += block.shape[1]
            if block.size:
                yield block
        if not process.succeeds():
            raise _damaged(info, given, process.reason())
        if "prematurely" in process.log() or _is_short(info, given):
            raise _damaged(info, given, "the file is cut short")


def _channel_options(info: AudioFileInfo) -> list[str]:
    """The arguments that give the same channels throughout, also where a broadcast changes them.

    Told their number alone, ffmpeg would mix them into the layout that it takes by itself.
    """
    if not info.layout:
        return ["-af", "aresample=async=1", "-ac", str(info.channels)]
    return ["-af", f"aresample=async=1,aformat=channel_layouts={info.layout}"]


def _samples(raw: bytes, channels: int) -> Samples:
    values = np.frombuffer(raw, dtype="<f4", count=len(raw) // _BYTES)
    whole = len(values) // channels * channels
    return np.array(values[:whole].reshape(-1, channels).T, dtype=np.float32, order="C")


def _is_short(info: AudioFileInfo, frames: int) -> bool:
    return frames == 0 or frames < info.frames - _TOLERATED_SECONDS * info.sample_rate_hz


def _damaged(info: AudioFileInfo, frames: int, reason: str) -> AudioError:
    return AudioError(
        f"{info.path}: damaged or cut short after {frames / info.sample_rate_hz:.2f} s "
        f"of {info.seconds:.2f} s ({reason})",
        "copy or record it again",
    )
