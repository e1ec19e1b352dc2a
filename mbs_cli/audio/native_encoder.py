"""Samples into a file of a format that libsndfile writes."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mbs_cli.audio.ffmpeg import convert_hint
from mbs_cli.audio.file_info import AudioFileInfo, native_name
from mbs_cli.audio.id3 import id3_tag, prepend
from mbs_cli.audio.write_errors import disk_full
from mbs_cli.errors import AudioError

# libvorbis puts a whole call's samples on the stack, so long blocks are handed over in pieces.
_PIECE_FRAMES = 16_384

# WAV counts its bytes in 32 bits, and libsndfile writes past that without a word.
_WAV_LARGEST_BYTES = 2**32 - 2**16  # some room for the header
_SAMPLE_BYTES = {"PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # others: 2 at most


class NativeEncoder:
    """Writes interleaved samples (S, C) to `partial`, with the tags of `info`.

    Raises AudioError, which names `target`, or OSError.
    """

    def __init__(self, partial: Path, info: AudioFileInfo, target: Path) -> None:
        _check_spool(target, info)
        partial.touch()  # libsndfile says no more than "System error"
        self._partial = partial
        self._target = target
        self._frames = 0
        try:
            self._sound = soundfile.SoundFile(
                native_name(partial),
                "w",
                samplerate=info.sample_rate_hz,
                channels=info.channels,
                format=_container_for(info),
                subtype=info.subtype,
                endian=info.endian,
            )
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{target}: {info.container} with {info.subtype} cannot be written at "
                f"{info.sample_rate_hz} Hz with {info.channels} channels "
                f"({error.error_string.rstrip('.')})",
                "choose another --format, such as wav, --subtype or --sample-rate, or "
                + convert_hint(info.path),
            ) from error
        self._id3 = b""
        if info.container == "MP3":  # libsndfile would write UTF-8 as Latin-1
            self._id3 = id3_tag(info.tags)
        else:
            self._tag(info)

    def _tag(self, info: AudioFileInfo) -> None:
        for name, value in info.tags.items():
            with suppress(soundfile.LibsndfileError):  # a container without such a tag
                setattr(self._sound, name, value)

    def write(self, interleaved: NDArray[np.float32]) -> None:
        """Append samples (S, C)."""
        for start in range(0, len(interleaved), _PIECE_FRAMES):
            try:
                self._sound.write(interleaved[start : start + _PIECE_FRAMES])
            except (soundfile.LibsndfileError, AssertionError) as error:  # assert: a short write
                raise disk_full(self._target) from error
        self._frames += len(interleaved)

    def finish(self) -> None:
        """End the file and read its header back: a full disk is no error to libsndfile."""
        self._sound.close()
        if self._frames == 0:
            return
        try:
            written = soundfile.info(native_name(self._partial)).frames
        except soundfile.LibsndfileError as error:
            raise disk_full(self._target) from error
        if written < self._frames:
            raise disk_full(self._target)
        prepend(self._partial, self._id3)

    def release(self) -> None:
        """Close the file."""
        self._sound.close()


def _container_for(info: AudioFileInfo) -> str:
    """That of `info`, or RF64 (EBU Tech 3306) where a WAV would not reach."""
    most_frames = most_frames_of(info)
    is_too_long = most_frames is not None and info.frames > most_frames
    return "RF64" if is_too_long else info.container


def most_frames_of(info: AudioFileInfo) -> int | None:
    """How many samples per channel a file of that container can hold, None if any number."""
    if info.container not in ("WAV", "WAVEX"):
        return None
    return _WAV_LARGEST_BYTES // (info.channels * _SAMPLE_BYTES.get(info.subtype, 2))


def _check_spool(target: Path, info: AudioFileInfo) -> None:
    """See that ALAC's way through the temporary folder is free.

    libsndfile gathers the encoded samples in a file there, and if that fills up it ends the whole
    process or never returns. They are never larger than 32 bits a sample.
    """
    if not info.subtype.startswith("ALAC"):
        return
    folder = os.environ.get("TMPDIR") or tempfile.gettempdir()
    needed_bytes = 4 * info.frames * info.channels
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise AudioError(
            f"{target}: writing {info.subtype} takes up to {needed_bytes / 1e6:.1f} MB in the "
            f"temporary folder {folder}, {free_bytes / 1e6:.1f} MB are free",
            "make room there or let TMPDIR name another folder",
        )
