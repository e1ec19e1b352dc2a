"""What is known of an audio file before its samples are read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from mbs_cli.audio import ffmpeg
from mbs_cli.audio.ffmpeg_muxers import muxer_of
from mbs_cli.audio.ffmpeg_probe import Media, probe
from mbs_cli.audio.gsm import open_whole_blocks
from mbs_cli.audio.joined import check_single
from mbs_cli.audio.mpeg import open_counted
from mbs_cli.audio.sample_rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mbs_cli.audio.tags import native_tags
from mbs_cli.audio.truncation import find_caf_fault, find_truncation
from mbs_cli.errors import AudioError

_UNKNOWN_FRAMES = 1 << 62


@dataclass(frozen=True)
class AudioFileInfo:
    """A file's size and format; of an output, what it is to be, `path` being its source."""

    path: Path
    sample_rate_hz: int
    channels: int
    frames: int  # samples per channel
    container: str  # as libsndfile names it (WAV, FLAC, OGG), or ffmpeg's muxer (ipod, matroska)
    subtype: str  # PCM_16, FLOAT, VORBIS, ..., or a codec of ffmpeg: aac, opus, ...
    endian: str = "FILE"
    tags: dict[str, str] = field(default_factory=dict)  # title, artist, ... as libsndfile knows
    layout: str = ""  # where the channels belong, as ffmpeg calls it; "" where not known
    bits: int = 0  # of a lossless codec of ffmpeg
    bit_rate: int = 0  # of a lossy one; 0 leaves it to ffmpeg
    has_exact_length: bool = True  # `frames` is more than an estimate
    media: Media | None = None  # the other streams of a file that ffmpeg reads
    keeps_video: bool = False
    stamp: tuple[int, int] = (0, 0)  # size and time of the last change, to notice the next

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.frames / self.sample_rate_hz

    @property
    def is_float(self) -> bool:
        """Whether samples past full scale can be stored as they are."""
        return self.subtype in ("FLOAT", "DOUBLE") or self.subtype.startswith("pcm_f")


def open_sound(path: Path) -> soundfile.SoundFile:
    """Open a file for reading, its `frames` being true for MPEG, too.

    Raises AudioError if it is not there, not audio, or MPEG of several streams or cut short.
    """
    with _failures_told(path):
        _check_readable(path)
        try:
            return _open(path)
        except soundfile.LibsndfileError as error:
            check_single(path)
            reason = error.error_string.rstrip(".")
            raise AudioError(
                f"{path}: not an audio file that libsndfile reads ({reason})",
                f"if it is audio, install ffmpeg or {ffmpeg.convert_hint(path)}",
            ) from error


def _open(path: Path) -> soundfile.SoundFile:
    sound = soundfile.SoundFile(native_name(path))
    if sound.format == "MP3":
        return open_counted(path, sound)
    return open_whole_blocks(path, sound) if sound.subtype == "GSM610" else sound


def native_name(path: Path) -> bytes | Path:
    """A path as soundfile opens it, of which POSIX does not ask that its bytes be UTF-8."""
    return os.fsencode(path) if os.name == "posix" else path


@contextmanager
def _failures_told(path: Path) -> Iterator[None]:
    """Whatever the system cannot do with a file is its failure alone."""
    try:
        yield
    except OSError as error:
        raise AudioError(f"{path}: {_reading_failure(error)}", "check the path") from error


def _check_readable(path: Path) -> None:
    """Libsndfile says no more than "System error"; a pipe would keep whoever opens it waiting."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise AudioError(
            f"{path}: a pipe or a device, not a file", f"mbs enhance - -o OUTPUT < {path}"
        )
    with path.open("rb"):
        size = path.stat().st_size
    if size == 0:
        raise AudioError(f"{path}: the file is empty (0 bytes)", "copy it again")


def _reading_failure(error: OSError) -> str:
    known = {
        errno.ENOENT: "there is no such file",
        errno.EACCES: "no permission to read it",
        errno.EISDIR: "this is a folder, not a file",
    }
    return known.get(error.errno or 0, error.strerror or os.strerror(error.errno or 0))


def read_info(path: Path) -> AudioFileInfo:
    """Read a file's header, by libsndfile or else by ffmpeg.

    Raises AudioError for a file that is missing, not audio, cut short, several files in one, or
    whose header is wrong.
    """
    with _failures_told(path):
        info = _find_info(path)
    if info is None:
        open_sound(path)  # says what is wrong
        raise AudioError(f"{path}: the file changed while it was read", "run again")
    if not LOWEST_RATE_HZ <= info.sample_rate_hz <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"{path}: a sample rate of {info.sample_rate_hz} Hz, expected {LOWEST_RATE_HZ} to "
            f"{HIGHEST_RATE_HZ}",
            "check that the header is right",
        )
    return info


def _find_info(path: Path) -> AudioFileInfo | None:
    """None for what neither reads."""
    _check_readable(path)
    check_single(path)
    try:
        sound = _open(path)
    except soundfile.LibsndfileError:
        _refuse(path, find_caf_fault(path))
        return _probed_info(path) if ffmpeg.is_installed() else None
    with sound:
        return _native_info(path, sound)


def _native_info(path: Path, sound: soundfile.SoundFile) -> AudioFileInfo:
    _refuse(path, find_truncation(path, sound))
    if sound.frames > _UNKNOWN_FRAMES:
        raise AudioError(
            f"{path}: its header does not say how long it is", ffmpeg.convert_hint(path)
        )
    return AudioFileInfo(
        path=path,
        sample_rate_hz=sound.samplerate,
        channels=sound.channels,
        frames=sound.frames,
        container=sound.format,
        subtype=sound.subtype,
        endian=sound.endian,
        tags=native_tags(sound),
        stamp=stamp_of(path),
    )


def _refuse(path: Path, fault: str) -> None:
    if fault:
        raise AudioError(f"{path}: {fault}", "copy or record it again")


def _probed_info(path: Path) -> AudioFileInfo:
    found = probe(path)
    return AudioFileInfo(
        path=path,
        sample_rate_hz=found.sample_rate_hz,
        channels=found.channels,
        frames=found.frames,
        container=muxer_of(found.demuxer, path.suffix),
        subtype=found.codec,
        tags=found.tags,
        layout=found.layout,
        bits=found.bits,
        bit_rate=found.bit_rate,
        has_exact_length=found.has_exact_length,
        media=found.media,
        stamp=stamp_of(path),
    )


def stamp_of(path: Path) -> tuple[int, int]:
    """What changes when a file is written to: its size and the time of its last change."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
