"""What a training run tells whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Decoding:
    """Audio files are being decoded into the cache."""

    done: int
    total: int


@dataclass(frozen=True)
class DataReport:
    """What there is to learn from."""

    speech_hours: float
    noise_hours: float
    speakers: int
    noise_classes: int
    rooms: int
    validation_items: int
    unreadable: dict[str, str] = field(default_factory=dict)  # file -> why it was left out


@dataclass(frozen=True)
class Started:
    """Training begins, or goes on after `step` steps."""

    model: str
    parameters: int
    device: str
    step: int


@dataclass(frozen=True)
class MicroBatchHalved:
    """Memory ran out; the step is done again with that many clips at a time, as are all others."""

    step: int
    micro_batch: int


@dataclass(frozen=True)
class StoppedEarly:
    """That many validations in a row were no better than the best one; the run ends."""

    step: int
    validations: int


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


Event = (
    Decoding
    | DataReport
    | Started
    | MicroBatchHalved
    | StoppedEarly
    | Report
    | Validated
    | Saved
    | Finished
)
