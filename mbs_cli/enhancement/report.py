"""What enhancing tells while it runs, and what it leaves behind. Imports nothing heavy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mbs_cli.errors import MbsError


class Status(StrEnum):
    """How it went with one file."""

    DONE = "done"
    SKIPPED = "skipped"  # the output was there already
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file: where it came from, where it went, how long it lasts, what went wrong."""

    source: Path
    target: Path | None
    status: Status
    seconds: float = 0.0  # of audio
    clipped_samples: int = 0  # past full scale before
    gain_db: float = 0.0  # that the whole file was given to fit its format
    note: str = ""  # something worth knowing about a file that was done
    failure: MbsError | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "path": str(self.source),
            "output": None if self.target is None else str(self.target),
            "seconds": round(self.seconds, 6),
            "status": self.status.value,
            "clipped_samples": self.clipped_samples,
            "gain_db": round(self.gain_db, 3),
            "note": self.note or None,
            "error": None if self.failure is None else str(self.failure),
        }


@dataclass(frozen=True)
class EnhanceReport:
    """All files of one run, in the order of the command line; paths that led to none come last."""

    files: tuple[FileReport, ...]
    elapsed_seconds: float  # of the whole call
    working_seconds: float  # of that, after the model was loaded

    def count(self, status: Status) -> int:
        """How many files ended that way."""
        return sum(file.status is status for file in self.files)

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio enhanced in this run."""
        return sum(file.seconds for file in self.files if file.status is Status.DONE)

    @property
    def real_time_factor(self) -> float | None:
        """Working seconds per second of audio; None if nothing was enhanced."""
        return self.working_seconds / self.audio_seconds if self.audio_seconds else None

    def to_json(self) -> dict[str, Any]:
        """The report as plain values: `files` and `totals`."""
        factor = self.real_time_factor
        totals = {str(status): self.count(status) for status in Status}
        return {
            "files": [file.to_json() for file in self.files],
            "totals": {
                "files": len(self.files),
                **totals,
                "audio_seconds": round(self.audio_seconds, 6),
                "elapsed_seconds": round(self.elapsed_seconds, 3),
                "working_seconds": round(self.working_seconds, 3),
                "real_time_factor": None if factor is None else round(factor, 5),
            },
        }


@dataclass(frozen=True)
class Started:
    """The work is known: so many files, so many seconds of audio."""

    files: int
    seconds: float


@dataclass(frozen=True)
class ModelLoaded:
    """The model is in memory: what follows is work."""


@dataclass(frozen=True)
class CompilingKernels:
    """The first run on this machine compiles the kernels, about 20 s."""


@dataclass(frozen=True)
class StreamOpened:
    """Sound from a pipe is about to be enhanced, its output that far behind."""

    sample_rate_hz: int
    channels: int
    delay_seconds: float
    is_causal: bool


@dataclass(frozen=True)
class MovedToCpu:
    """The device has too little memory even for the least: from here on the CPU computes."""

    device: str


@dataclass(frozen=True)
class Advanced:
    """So many further seconds of audio of a file were enhanced, or, below 0, must be again."""

    source: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A file is done, skipped or failed."""

    report: FileReport


Event = Started | ModelLoaded | CompilingKernels | StreamOpened | MovedToCpu | Advanced | Finished
Listener = Callable[[Event], None]


class Clock:
    """Seconds since it was made, and since the model was loaded."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._work_start: float | None = None

    def listen(self, event: Event) -> None:
        """Take note of when the work begins."""
        if isinstance(event, ModelLoaded):
            self._work_start = time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Both so far; 0 where no model was loaded."""
        now = time.perf_counter()
        return now - self._start, 0.0 if self._work_start is None else now - self._work_start
