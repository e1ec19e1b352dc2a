"""Files that appear under their name when they are complete, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_file(target: Path, durable: bool = False) -> Iterator[Path]:
    """A path beside `target` to write to; at the end it takes the target's name.

    If anything fails, an interruption included, it is removed and an older target stays as it is.
    The folder is made where it is missing. With `durable` the content is on the disk, and not only
    in the system's memory, before the older target is given up. Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".mbs-{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        yield partial
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
