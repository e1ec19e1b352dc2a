"""What to tell a user whose output cannot be written."""

from __future__ import annotations

import errno
from pathlib import Path

from mbs_cli.errors import AudioError


def disk_full(target: Path) -> AudioError:
    """There is no room."""
    return AudioError(
        f"{target}: the disk is full or a quota is reached",
        "make room on the disk or choose another output folder, then run again",
    )


def write_failure(target: Path, error: OSError) -> AudioError:
    """What the system says, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return disk_full(target)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AudioError(
            f"{target}: no permission to write into {target.parent}",
            "choose another output folder with -o",
        )
    return AudioError(
        f"{target}: cannot be written ({error.strerror})", "choose another output folder with -o"
    )
