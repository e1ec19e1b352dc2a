"""What a training run tells whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mbs_cli.data.report import DataReport


@dataclass(frozen=True)
class Decoding:
    """Audio files are being decoded into the cache."""

    done: int
    total: int


@dataclass(frozen=True)
class Started:
    """Training begins, or goes on after `step` steps."""

    model: str
    parameters: int
    device: str
    step: int


@dataclass(frozen=True)
class Report:
    """Means over the steps since the last report."""

    step: int
    loss: float
    parts: dict[str, float]
    gradient_norm: float
    learning_rate: float
    clips_per_second: float
    data_wait_share: float  # of the time, spent waiting for clips
    progress: float  # 0 to 1
    seconds_left: float
    skipped_steps: int


@dataclass(frozen=True)
class Validated:
    """Mean scores over the validation mixtures."""

    step: int
    scores: dict[str, float]
    noisy_scores: dict[str, float]
    is_best: bool


@dataclass(frozen=True)
class Saved:
    """The run can be resumed from here."""

    step: int
    path: Path


@dataclass(frozen=True)
class Finished:
    """The run is over, or was stopped and can be resumed."""

    step: int
    seconds: float
    complete: bool
    best: Path


Event = Decoding | DataReport | Started | Report | Validated | Saved | Finished
