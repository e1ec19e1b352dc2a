"""Writing an audio file all or nothing: it appears under its name when it is complete."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mbs_cli.atomic_file import atomic_file
from mbs_cli.audio.clipping import Clipping, open_clipping
from mbs_cli.audio.ffmpeg_encoder import FfmpegEncoder
from mbs_cli.audio.ffmpeg_muxers import MUXERS
from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.audio.native_encoder import NativeEncoder
from mbs_cli.audio.output_format import ClipPolicy
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.write_errors import write_failure


class Encoder(Protocol):
    """Writes one file; every method raises AudioError or OSError."""

    def write(self, interleaved: NDArray[np.float32]) -> None:
        """Append samples (S, C)."""

    def finish(self) -> None:
        """End the file and see that it is whole."""

    def release(self) -> None:
        """Let go of it, whole or not."""


class AudioWriter:
    """A context that writes blocks (C, S) in the format of `info`.

    The samples go to a hidden file beside `target`, which takes the target's name at the end and
    is removed if anything fails, an interruption included. Raises AudioError with what to do.
    """

    def __init__(
        self, target: Path, info: AudioFileInfo, clip: ClipPolicy = ClipPolicy.WARN
    ) -> None:
        self._target = target
        self._info = info
        self._policy = clip
        self._clipping: Clipping | None = None  # float files are never touched

    @property
    def clipped_samples(self) -> int:
        """How many samples were past full scale, unless one gain for all made room for them."""
        return self._clipping.clipped_samples if self._clipping else 0

    @property
    def gain_db(self) -> float:
        """The gain of the whole file that makes it fit."""
        return self._clipping.gain_db if self._clipping else 0.0

    @property
    def note(self) -> str:
        """What was done about samples past full scale, "" if nothing."""
        return self._clipping.describe() if self._clipping else ""

    def __enter__(self) -> Self:
        try:
            with ExitStack() as opening:
                partial = opening.enter_context(atomic_file(self._target))
                self._encoder = self._open_encoder(partial)
                opening.callback(self._encoder.release)
                if not self._info.is_float:
                    self._clipping = self._open_clipping()
                    opening.callback(self._clipping.release)
                opening.push(self._finish)
                self._opened = opening.pop_all()
        except OSError as error:
            raise write_failure(self._target, error) from error
        return self

    def _open_encoder(self, partial: Path) -> Encoder:
        if self._info.container in MUXERS:
            return FfmpegEncoder(partial, self._info, self._target)
        return NativeEncoder(partial, self._info, self._target)

    def _open_clipping(self) -> Clipping:
        info = self._info
        return open_clipping(self._policy, info.channels, info.sample_rate_hz, self._target.parent)

    def write(self, block: Samples) -> None:
        """Append a block (C, S)."""
        try:
            self._encode(self._clipping.feed(block) if self._clipping else block)
        except OSError as error:
            raise write_failure(self._target, error) from error

    def _encode(self, block: Samples) -> None:
        if block.shape[1]:
            self._encoder.write(np.ascontiguousarray(block.T))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._opened.__exit__(kind, error, trace)
        except OSError as failure:
            raise write_failure(self._target, failure) from failure

    def _finish(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            return
        if self._clipping is not None:
            for block in self._clipping.flush():
                self._encode(block)
        self._encoder.finish()


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file as it is, all or nothing. Raises AudioError."""
    try:
        with atomic_file(target) as partial:
            shutil.copyfile(source, partial)
    except OSError as error:
        raise write_failure(target, error) from error
