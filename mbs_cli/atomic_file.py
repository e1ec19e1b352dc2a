"""Files that appear under their name when they are complete, or not at all."""

from __future__ import annotations

import os
import platform
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

_MACHINE = f"{crc32(platform.node().encode()):08x}"
_PARTIAL = re.compile(rf"\.mbs-{_MACHINE}-(\d+)-[0-9a-f]{{8}}\.part")


@contextmanager
def atomic_file(target: Path, durable: bool = False) -> Iterator[Path]:
    """A path beside `target` to write to; at the end it takes the target's name.

    If anything fails, an interruption included, it is removed and an older target stays as it is.
    The folder is made where it is missing. With `durable` the content is on the disk, and not only
    in the system's memory, before the older target is given up. Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".mbs-{_MACHINE}-{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        with _held(partial):
            yield partial
            if durable:
                with partial.open("rb") as file:
                    os.fsync(file.fileno())
            partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def _held(partial: Path) -> Iterator[None]:
    """Make the file and lock it, to be seen by processes that see no other of each other."""
    if os.name != "posix":
        yield
        return
    from fcntl import LOCK_EX, LOCK_NB, flock

    descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            flock(descriptor, LOCK_EX | LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_held(partial: Path) -> bool:
    from fcntl import LOCK_EX, LOCK_NB, flock

    try:
        with partial.open("rb") as file:
            flock(file, LOCK_EX | LOCK_NB)
    except OSError:
        return True
    return False


def check_creatable(target: Path) -> None:
    """Raise OSError, before any work, if `atomic_file` could not write there. Leaves no trace."""
    folder = next(parent for parent in target.absolute().parents if os.path.exists(parent))  # noqa: PTH110
    with tempfile.TemporaryFile(dir=folder):
        pass


def remove_abandoned(folder: Path) -> None:
    """Remove from a folder what killed processes of this machine had only begun to write.

    In a container, or on another machine of that name, a process may live that is not seen here:
    what it writes is locked.
    """
    if os.name != "posix":
        return  # elsewhere there is no harmless way to ask whether a process lives
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - no paths for 100,000 names
            found = _PARTIAL.fullmatch(name)
            if found and not _is_alive(int(found[1])) and not _is_held(folder / name):
                (folder / name).unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # someone else's
        return True
    return True
