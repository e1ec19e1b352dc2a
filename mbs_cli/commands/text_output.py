"""Text that a command writes where it is told: to a file, or with "-" to standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mbs_cli.atomic_file import atomic_file, check_creatable
from mbs_cli.errors import UsageError

STDOUT = "-"


def check_target(target: str | Path) -> None:
    """Raise UsageError, before any work, for an output that cannot be written."""
    if target == STDOUT or _takes_bytes_as_they_come(Path(target)):
        return
    path = Path(target)
    if not os.path.isdir(path.parent) or os.path.isdir(path):  # noqa: PTH112 - those may raise
        raise UsageError(
            f"{target}: cannot be written there", "name a file in a folder that exists"
        )
    try:
        check_creatable(path)
    except OSError as error:
        raise UsageError(
            f"{target}: cannot be written there ({error.strerror})", "choose another place"
        ) from error


def write_text(target: str, text: str) -> None:
    """To standard output, to a pipe or device, or to a file that is never half written.

    Links are followed. Raises UsageError for what cannot be written, and BrokenPipeError if nobody
    reads standard output any more.

    Bytes of a file's name that are not UTF-8 are written as escapes, the way JSON has them.
    """
    content = text.encode("utf-8", errors="backslashreplace")
    path = Path(target)
    try:
        if target == STDOUT:
            _write_to_stdout(content)
        elif _takes_bytes_as_they_come(path):
            path.write_bytes(content)
        else:
            with atomic_file(path.resolve()) as partial:
                partial.write_bytes(content)
    except BrokenPipeError:
        raise
    except OSError as error:
        place = "standard output" if target == STDOUT else target
        raise UsageError(
            f"{place}: cannot be written ({error.strerror})", "choose another place"
        ) from error


def _write_to_stdout(content: bytes) -> None:
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except OSError:
        give_up_stdout()
        raise


def give_up_stdout() -> None:
    """What is still to be written there goes nowhere, or Python would complain once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _takes_bytes_as_they_come(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder: a pipe or a device."""
    kinds = os.path.isfile(path), os.path.isdir(path)  # noqa: PTH112, PTH113 - those may raise
    return os.path.exists(path) and not any(kinds)  # noqa: PTH110
