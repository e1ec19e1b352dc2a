"""One audio file of any rate and channels as 16 kHz mono, and what was noticed on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.suffixes import AUDIO_SUFFIXES
from mbs_cli.errors import AudioError

FULL_SCALE = 32767.0  # what the peak of a clip is stored as
SILENT_BELOW = 10 ** (-75 / 20)  # a peak lower than that is dither and hum, and no sound

_BLOCK_SAMPLES = 1 << 20  # read at a time: memory does not grow with rate and channels


@dataclass(frozen=True)
class Decoded:
    """A file's samples (S,) at 16 kHz, stored so that their peak is full scale."""

    samples: NDArray[np.int16]
    peak: float  # of the file itself: what full scale stands for
    rate_hz: int  # of the file
    channels: int
    is_clipped: bool  # some samples in a row stand at full scale


@dataclass(frozen=True)
class Rejection:
    """Why a file cannot be used."""

    what: str  # a few words that many files share
    detail: str = ""
    may_pass: bool = False  # the system refused to read it, and may not the next time


def decode(file: Path) -> Decoded | Rejection:
    """Decode, average the channels and resample; or say why that makes no usable sound."""
    import soundfile

    from mbs_cli.audio.file_info import open_sound
    from mbs_cli.audio.joined import check_single
    from mbs_cli.audio.truncation import find_truncation

    if file.suffix.lower() not in AUDIO_SUFFIXES and (found := _decode_by_ffmpeg(file)):
        return found
    try:
        with open_sound(file) as sound:
            check_single(file)
            fault = find_truncation(file, sound)
            if fault:
                return Rejection("wrong length", fault)
            mono, is_clipped = _mixed_down(_native_blocks(sound), sound.samplerate)
            if sound.tell() < sound.frames:
                return Rejection(
                    "wrong length", f"{sound.tell()} of {sound.frames} samples are there"
                )
            rate_hz, channels = sound.samplerate, sound.channels
    except AudioError as error:
        reason = error.message.removeprefix(f"{file}: ")
        return Rejection("unreadable", reason, isinstance(error.__cause__, OSError))
    except (soundfile.LibsndfileError, OSError) as error:
        return Rejection("unreadable", str(error), isinstance(error, OSError))
    return _checked(mono, rate_hz, channels, is_clipped)


def _decode_by_ffmpeg(file: Path) -> Decoded | Rejection | None:
    """A file of a format that libsndfile does not read; None if that reads it, by another name."""
    from mbs_cli.audio import ffmpeg
    from mbs_cli.audio.ffmpeg_reader import read_ffmpeg_blocks
    from mbs_cli.audio.file_info import read_info

    try:
        info = read_info(file)
        if info.media is None:
            return None
        blocks = (block.T for block in read_ffmpeg_blocks(info, _BLOCK_SAMPLES))
        mono, is_clipped = _mixed_down(blocks, info.sample_rate_hz)
    except AudioError as error:
        reason = error.message.removeprefix(f"{file}: ")
        return Rejection("unreadable", reason, may_pass=not ffmpeg.is_installed())
    return _checked(mono, info.sample_rate_hz, info.channels, is_clipped)


def _native_blocks(sound: Any) -> Iterator[NDArray[np.float32]]:
    """The samples (S, C) block by block."""
    while len(block := sound.read(_BLOCK_SAMPLES, dtype="float32", always_2d=True)):
        yield block
        if len(block) < _BLOCK_SAMPLES:
            return


def _mixed_down(
    blocks: Iterable[NDArray[np.float32]], rate_hz: int
) -> tuple[NDArray[np.float32], bool]:
    """The mean of the channels at 16 kHz, and whether any of them is clipped."""
    import soxr

    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    pieces: list[NDArray[np.float32]] = []
    is_clipped = False
    for block in blocks:
        is_clipped = is_clipped or _is_clipped(block)
        with np.errstate(all="ignore"):  # what is not finite is found at the end
            mono = block.mean(axis=1)
        pieces.append(mono if rate_hz == SAMPLE_RATE_HZ else stream.resample_chunk(mono))
    if rate_hz != SAMPLE_RATE_HZ:
        pieces.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32), is_clipped


def _is_clipped(block: NDArray[np.float32]) -> bool:
    """Three samples in a row at full scale; one alone may be the peak of a normalised file."""
    at_full_scale = np.abs(np.abs(block) - 1.0) < 1e-4
    return bool((at_full_scale[2:] & at_full_scale[1:-1] & at_full_scale[:-2]).any())


def _checked(
    mono: NDArray[np.float32], rate_hz: int, channels: int, is_clipped: bool
) -> Decoded | Rejection:
    if not len(mono):
        return Rejection("empty")
    peak = float(np.abs(mono).max())
    if not np.isfinite(peak):
        return Rejection("samples that are not finite numbers")
    if peak < SILENT_BELOW:
        level = f"its peak is {20 * np.log10(peak):.0f} dBFS" if peak else "all samples are zero"
        return Rejection("silent", level)
    samples = np.round(mono * (FULL_SCALE / peak)).astype(np.int16)
    return Decoded(samples, peak, rate_hz, channels, is_clipped)
