"""What is known of an audio file before its samples are read."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import soundfile

from mbs_cli.audio.truncation import find_truncation
from mbs_cli.errors import AudioError

_FLOAT_SUBTYPES = frozenset({"FLOAT", "DOUBLE"})

CONVERT_HINT = "convert it to WAV or FLAC first, e.g. ffmpeg -i INPUT OUTPUT.wav"


@dataclass(frozen=True)
class AudioFileInfo:
    """A file's size and the format in which its enhanced copy is written."""

    path: Path
    sample_rate_hz: int
    channels: int
    frames: int  # samples per channel
    container: str  # as libsndfile names it: WAV, FLAC, OGG, ...
    subtype: str  # PCM_16, FLOAT, VORBIS, ...
    endian: str

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.frames / self.sample_rate_hz

    @property
    def is_float(self) -> bool:
        """Whether samples past full scale can be stored as they are."""
        return self.subtype in _FLOAT_SUBTYPES


def open_sound(path: Path) -> soundfile.SoundFile:
    """Open a file for reading. Raises AudioError if it is not there or not audio."""
    try:
        with path.open("rb"):  # libsndfile says no more than "System error"
            return soundfile.SoundFile(path)
    except OSError as error:
        raise AudioError(f"{path}: {_reading_failure(error)}", "check the path") from error
    except soundfile.LibsndfileError as error:
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: the file is empty (0 bytes)", "copy it again") from error
        raise AudioError(
            f"{path}: not an audio file that libsndfile reads ({error.error_string.rstrip('.')})",
            f"if it is audio, {CONVERT_HINT}",
        ) from error


def _reading_failure(error: OSError) -> str:
    known = {
        errno.ENOENT: "there is no such file",
        errno.EACCES: "no permission to read it",
        errno.EISDIR: "this is a folder, not a file",
    }
    return known.get(error.errno or 0, error.strerror or os.strerror(error.errno or 0))


def read_info(path: Path) -> AudioFileInfo:
    """Read a file's header and check that its copy could be written.

    Raises AudioError for a file that is missing, not audio, cut short, or of a format that
    libsndfile reads but does not write.
    """
    with open_sound(path) as sound:
        info = AudioFileInfo(
            path=path,
            sample_rate_hz=sound.samplerate,
            channels=sound.channels,
            frames=sound.frames,
            container=sound.format,
            subtype=sound.subtype,
            endian=sound.endian,
        )
        shortfall = find_truncation(path, info.container, sound.extra_info)
    if shortfall:
        raise AudioError(f"{path}: the file is cut short ({shortfall})", "copy or record it again")
    if not soundfile.check_format(info.container, info.subtype, info.endian):
        raise AudioError(
            f"{path}: {info.container} with {info.subtype} can be read but not written",
            CONVERT_HINT,
        )
    return info
