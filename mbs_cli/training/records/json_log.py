"""The events of a run as lines of JSON, for programs that follow it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mbs_cli.atomic_file import atomic_file
from mbs_cli.training.events import IN_JSON, Event, Started, event_name

SCHEMA_VERSION = 1


class JsonLog:
    """Writes every event as one line, at once.

    `target` is a path, of a pipe too, or the number of an open descriptor. An existing file goes
    on: when the run says from which step it starts, the lines of steps that are done again are
    dropped, and for a new run all that was there before. Raises OSError.
    """

    def __init__(self, target: Path | int) -> None:
        self._file = _open(target)
        self._path = target if isinstance(target, Path) and target.is_file() else None
        self._earlier_bytes = self._path.stat().st_size if self._path else 0

    def write(self, event: Event) -> None:
        """One more line."""
        if isinstance(event, Started) and self._path and self._earlier_bytes:
            self._forget_after(event.step, self._path)
        self._file.write(event_line(event).encode("ascii"))
        self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        with suppress(OSError):  # every line was flushed, or its failure reported
            self._file.close()

    def _forget_after(self, step: int, path: Path) -> None:
        content = path.read_bytes()
        earlier, own = content[: self._earlier_bytes], content[self._earlier_bytes :]
        lines = earlier.splitlines(keepends=True)
        kept = [
            line for line in lines if step and line.endswith(b"\n") and not _is_after(line, step)
        ]
        with atomic_file(path) as partial:
            partial.write_bytes(b"".join(kept) + own)
        self._file.close()
        self._file = _open(path)


def _open(target: Path | int) -> BinaryIO:
    return open(target, "ab", closefd=isinstance(target, Path))


def _is_after(line: bytes, step: int) -> bool:
    """Whether a line is an event of a later step; a line that is no event is not."""
    try:
        found = json.loads(line)["step"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return isinstance(found, int) and found > step


def event_line(event: Event) -> str:
    """The event as a line of JSON, as docs/training.md describes it."""
    head = {
        "schema": SCHEMA_VERSION,
        "event": event_name(type(event)),
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    return json.dumps(head | plain(event), allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Any value as JSON can hold it: dataclasses as objects, what is not finite as null.

    Paths and everything unknown become text; fields marked with IN_JSON False are left out.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        shown = [field.name for field in fields(value) if field.metadata.get(IN_JSON, True)]
        return {name: plain(getattr(value, name)) for name in shown}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value)
