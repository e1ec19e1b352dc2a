"""What a training run tells whoever shows or records it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mbs_cli.audio.samples import Samples
from mbs_cli.data.report import DataReport

IN_JSON = "in_json"  # key in a field's metadata; False: too large for a line of text


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
    precision: str  # of matrix products
    step: int
    best_scores: dict[str, float] = field(default_factory=dict)  # of the run so far


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
    """Means over the steps since the last report. Every plain number is a column of metrics.csv."""

    step: int
    loss: float
    parts: dict[str, float]  # of the loss, before weighting; their names depend on the options
    gradient_norm: float
    learning_rate: float
    clips_per_second: float
    data_wait_share: float  # of the time, spent waiting for clips
    seconds: float  # of training so far
    processor_seconds: float  # the same in processor time, of all threads together
    peak_memory_bytes: int | None  # of this process, or of the GPU it trains on
    progress: float  # 0 to 1
    seconds_left: float
    skipped_steps: int  # of the whole run


@dataclass(frozen=True)
class Scoring:
    """Held-out utterances are being scored."""

    done: int
    total: int


@dataclass(frozen=True)
class Clip:
    """One held-out utterance to look at and listen to, (S,) each at 16 kHz."""

    name: str
    noisy: Samples
    clean: Samples
    enhanced: Samples


@dataclass(frozen=True)
class Validated:
    """Mean scores over the held-out utterances, by metric."""

    step: int
    scores: dict[str, float]
    noisy_scores: dict[str, float]  # of their noisy sides as they are
    best_scores: dict[str, float]  # of the best validation so far, this one included
    is_best: bool
    by_snr_db: dict[str, dict[str, float]]  # the same of those near -5 dB, near 0 dB, ...
    noisy_by_snr_db: dict[str, dict[str, float]]
    clips: tuple[Clip, ...] = field(default=(), repr=False, metadata={IN_JSON: False})


@dataclass(frozen=True)
class Saved:
    """The run can be resumed from here."""

    step: int
    path: Path


@dataclass(frozen=True)
class Remark:
    """Something worth knowing that does not stop the run."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The run is over, or was stopped and can be resumed."""

    step: int
    seconds: float
    complete: bool
    best: Path


@dataclass(frozen=True)
class Failed:
    """The run ends with an error; whoever called `train` gets it as an exception too."""

    message: str
    hint: str


Event = (
    Decoding
    | DataReport
    | Started
    | MicroBatchHalved
    | Report
    | Scoring
    | Validated
    | Saved
    | StoppedEarly
    | Remark
    | Finished
    | Failed
)
OnEvent = Callable[[Event], None]


def event_name(event: type[Any]) -> str:
    """For example `data_report` for DataReport."""
    letters = (f"_{letter.lower()}" if letter.isupper() else letter for letter in event.__name__)
    return "".join(letters).lstrip("_")
