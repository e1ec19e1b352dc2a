"""The samples of every file that `mbs enhance` reads: by libsndfile, or else by ffmpeg.

C channels, S samples.
"""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mbs_cli.audio.ffmpeg_reader import read_ffmpeg_blocks
from mbs_cli.audio.file_info import AudioFileInfo, open_sound, read_info
from mbs_cli.audio.reader import cut_short
from mbs_cli.audio.samples import Samples
from mbs_cli.errors import AudioError

_BLOCK_FRAMES = 1 << 20


def read_sound_file(
    path: Path, dtype: str = "float64", longest_seconds: float = math.inf
) -> tuple[NDArray[Any], AudioFileInfo]:
    """All samples (C, S) of a file, or those of its first seconds; NaN and infinity stay.

    Raises:
        AudioError: the file is missing, damaged, cut short or no audio, or takes an ffmpeg that is
            not installed.
    """
    info = read_info(path)
    most_frames = longest_seconds * info.sample_rate_hz
    if info.media is None:
        return _read_native(info, int(min(most_frames, info.frames)), dtype), info
    return _read_by_ffmpeg(info, most_frames).astype(dtype, copy=False), info


def _read_native(info: AudioFileInfo, frames: int, dtype: str) -> NDArray[Any]:
    try:
        with open_sound(info.path) as sound:
            samples = sound.read(frames, dtype=dtype, always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{info.path}: damaged or cut short ({error.error_string.rstrip('.')})",
            "copy or record it again",
        ) from error
    if len(samples) < frames:
        raise cut_short(info, len(samples))
    return np.ascontiguousarray(samples.T)


def _read_by_ffmpeg(info: AudioFileInfo, most_frames: float) -> Samples:
    """Stops ffmpeg, which then is not asked how the file ends, once there is enough."""
    blocks, frames = [], 0
    with closing(read_ffmpeg_blocks(info, _BLOCK_FRAMES)) as source:
        for block in source:
            blocks.append(block)
            frames += block.shape[1]
            if frames >= most_frames:
                break
    return np.concatenate(blocks, axis=1)[:, : int(min(frames, most_frames))]
