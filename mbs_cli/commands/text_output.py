"""Text that a command writes where it is told: to a file, or with "-" to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from mbs_cli.atomic_file import atomic_file, check_creatable
from mbs_cli.errors import UsageError

STDOUT = "-"


def check_target(target: str | Path) -> None:
    """Raise UsageError, before any work, for an output that cannot be written."""
    if target == STDOUT:
        return
    if not Path(target).parent.is_dir() or Path(target).is_dir():
        raise UsageError(
            f"{target}: cannot be written there", "name a file in a folder that exists"
        )
    try:
        check_creatable(Path(target))
    except OSError as error:
        raise UsageError(
            f"{target}: cannot be written there ({error.strerror})", "choose another place"
        ) from error


def write_text(target: str, text: str) -> None:
    """To standard output, or to a file that is never half written. Raises UsageError.

    Bytes of a file's name that are not UTF-8 are written as escapes, the way JSON has them.
    """
    content = text.encode("utf-8", errors="backslashreplace")
    if target == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        with atomic_file(Path(target)) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"{target}: cannot be written ({error.strerror})", "choose another place"
        ) from error
