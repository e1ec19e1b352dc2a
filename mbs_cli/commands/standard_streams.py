"""Standard input and output as pipes of bytes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

from mbs_cli.errors import AudioError, UsageError


class StoppableInput:
    """Standard input, which a first signal ends as if its sender had; the next one interrupts."""

    def __init__(self) -> None:
        self.is_stopped = False
        self._is_reading = False

    def read1(self, size: int, /) -> bytes:
        """What has arrived, at most so many bytes; none at the end."""
        if self.is_stopped:
            return b""
        try:
            self._is_reading = True
            return os.read(sys.stdin.fileno(), size)
        except KeyboardInterrupt:
            return b""
        except OSError as error:
            raise AudioError(
                f"stdin: cannot be read ({error.strerror})", "send sound through a pipe"
            ) from error
        finally:
            self._is_reading = False

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """What Ctrl-C and signals to end do."""
        if self.is_stopped or self._is_reading:
            self.is_stopped = True
            raise KeyboardInterrupt
        self.is_stopped = True


@contextmanager
def stoppable_input() -> Iterator[StoppableInput]:
    """Standard input as long as the context lasts. Raises UsageError if it is a keyboard."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "-: standard input is a terminal or closed, expected sound from a pipe",
            "for example ffmpeg -i FILE -f wav - | mbs enhance - -o -; mbs live takes a microphone",
        )
    source = StoppableInput()
    before = {number: signal.signal(number, source.stop) for number in _stopping_signals()}
    try:
        yield source
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopping_signals() -> Iterator[signal.Signals]:
    """Ctrl-C, and what ends programs, unless it is ignored, as `nohup` wants it."""
    yield signal.SIGINT
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            yield number


def open_output() -> IO[bytes]:
    """Standard output without a buffer. Raises UsageError if it is a screen."""
    if sys.stdout is None or sys.stdout.isatty():
        raise UsageError(
            "-o -: standard output is a terminal or closed, which takes no sound",
            "send it to a program, for example ... | ffplay -nodisp -, or to a file",
        )
    return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
