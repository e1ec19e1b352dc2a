"""Writing an audio file all or nothing: it appears under its name when it is complete."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from mbs_cli.atomic_file import atomic_file
from mbs_cli.audio.clipping import hard_clip
from mbs_cli.audio.file_info import CONVERT_HINT, AudioFileInfo
from mbs_cli.audio.samples import Samples
from mbs_cli.errors import AudioError

# libvorbis puts a whole call's samples on the stack, so long blocks are handed over in pieces.
_PIECE_FRAMES = 16_384

# WAV counts its bytes in 32 bits, and libsndfile writes past that without a word.
_WAV_LARGEST_BYTES = 2**32 - 2**16  # some room for the header
_SAMPLE_BYTES = {"PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # others: 2 at most


class AudioWriter:
    """A context that writes blocks (C, S) in the format of `info`.

    The samples go to a hidden file beside `target`, which takes the target's name at the end and
    is removed if anything fails, an interruption included. Raises AudioError with what to do.
    """

    def __init__(self, target: Path, info: AudioFileInfo) -> None:
        self._target = target
        self._info = info
        self._frames = 0
        self.clipped_samples = 0

    def __enter__(self) -> Self:
        try:
            _check_spool(self._target, self._info)
            with ExitStack() as opening:
                self._partial = opening.enter_context(atomic_file(self._target))
                self._partial.touch()  # libsndfile says no more than "System error"
                self._sound = self._open()
                opening.push(self._close)
                self._opened = opening.pop_all()
        except OSError as error:
            raise _failure(self._target, error) from error
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{self._target}: {self._info.container} with {self._info.subtype} cannot be "
                f"written at {self._info.sample_rate_hz} Hz with {self._info.channels} channels "
                f"({error.error_string.rstrip('.')})",
                CONVERT_HINT,
            ) from error
        return self

    def _open(self) -> soundfile.SoundFile:
        info = self._info
        return soundfile.SoundFile(
            self._partial,
            "w",
            samplerate=info.sample_rate_hz,
            channels=info.channels,
            format=_container_for(info),
            subtype=info.subtype,
            endian=info.endian,
        )

    def write(self, block: Samples) -> None:
        """Append a block (C, S)."""
        if not self._info.is_float:
            block, clipped = hard_clip(block)
            self.clipped_samples += clipped
        interleaved = np.ascontiguousarray(block.T)
        for start in range(0, len(interleaved), _PIECE_FRAMES):
            try:
                self._sound.write(interleaved[start : start + _PIECE_FRAMES])
            except (soundfile.LibsndfileError, AssertionError) as error:  # assert: a short write
                raise _incomplete(self._target) from error
        self._frames += len(interleaved)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._opened.__exit__(kind, error, trace)
        except OSError as failure:
            raise _failure(self._target, failure) from failure

    def _close(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._sound.close()
        if error is None:
            self._check_complete()

    def _check_complete(self) -> None:
        """Read the header back: closing a file on a full disk reports no error of its own."""
        if self._frames == 0:
            return
        try:
            written = soundfile.info(self._partial).frames
        except soundfile.LibsndfileError as error:
            raise _incomplete(self._target) from error
        if written < self._frames:
            raise _incomplete(self._target)


def _container_for(info: AudioFileInfo) -> str:
    """That of `info`, or RF64 (EBU Tech 3306) where a WAV would not reach."""
    needed_bytes = info.frames * info.channels * _SAMPLE_BYTES.get(info.subtype, 2)
    is_too_long = info.container in ("WAV", "WAVEX") and needed_bytes > _WAV_LARGEST_BYTES
    return "RF64" if is_too_long else info.container


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file as it is, all or nothing. Raises AudioError."""
    try:
        with atomic_file(target) as partial:
            shutil.copyfile(source, partial)
    except OSError as error:
        raise _failure(target, error) from error


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


def _incomplete(target: Path) -> AudioError:
    return AudioError(
        f"{target}: the disk is full or a quota is reached",
        "make room on the disk or choose another output folder, then run again",
    )


def _failure(target: Path, error: OSError) -> AudioError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _incomplete(target)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AudioError(
            f"{target}: no permission to write into {target.parent}",
            "choose another output folder with -o",
        )
    return AudioError(
        f"{target}: cannot be written ({error.strerror})", "choose another output folder with -o"
    )
