"""Everything that decides a training run, saved with it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mbs_cli.data.config import MixingConfig
from mbs_cli.errors import UsageError
from mbs_cli.models.config import PRESETS, ModelConfig, with_switches

# The parts of the loss that have a weight.
WEIGHTS = (
    "magnitude",
    "complex",
    "si_sdr",
    "time",
    "phase",
    "consistency",
    "over_attenuation",
    "metric",
)


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts of the loss, 0 for none; the defaults are the shipped recipe.

    The levels that the parts are taken at differ between papers, and with them the weights.
    MP-SENet's, brought to a magnitude weight of 90 at the level used here: complex 10, time 50,
    phase 8, consistency 10, metric 1.3.
    """

    magnitude: float = 90.0  # compressed magnitudes
    complex: float = 20.0  # compressed real and imaginary parts
    si_sdr: float = 1.0  # bels of scale-invariant signal-to-distortion ratio
    time: float = 0.0  # samples
    phase: float = 0.0  # radians of phase, group delay and angular frequency
    consistency: float = 0.0  # what of the estimate is lost between iSTFT and STFT
    over_attenuation: float = 0.0  # compressed magnitudes below the target's
    metric: float = 0.0  # distance of a discriminator's guess of PESQ from perfect
    metric_start: float = 0.5  # share of the run after which the discriminator is used
    metric_items: int = 4  # clips of a step whose PESQ is measured, for it to learn from

    def __post_init__(self) -> None:
        weights = {name: getattr(self, name) for name in WEIGHTS}
        for name, weight in weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                flag = f"--{name.replace('_', '-')}-weight"
                raise UsageError(f"{flag} {weight}: expected 0 or a number above")
        if not any(weight for name, weight in weights.items() if name != "metric"):
            raise UsageError(
                "every weight of the loss is 0, so there is nothing to learn",
                "give for example --magnitude-weight 90",
            )
        if not 0 <= self.metric_start < 1:
            raise UsageError(
                f"--metric-start {self.metric_start}: expected a share of the run, 0 to below 1"
            )
        if self.metric_items < 1:
            raise UsageError(f"--metric-items {self.metric_items}: expected 1 or more")


@dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults are the shipped recipe."""

    data: Path  # a folder that mbs_cli.data.layout recognises, or a manifest
    out: Path  # the run folder
    model: str = "mbs-net"  # a preset
    switches: tuple[str, ...] = ()  # what differs from the preset, as in "time_layer=lstm"
    init: Path | None = None  # a checkpoint of the same preset to start from; None: from scratch
    minutes: float | None = None  # stop after that much training, earlier runs counted in
    clock: Literal["wall", "cpu"] = "wall"  # what minutes count: "cpu" is processor time
    steps: int | None = None  # stop after that many steps; exactly repeatable
    batch_size: int = 4  # clips per step
    learning_rate: float = 1e-3  # at the end of the warm-up
    warmup_steps: int = 200  # steps of linearly rising learning rate
    final_rate: float = 0.01  # share of the learning rate that the cosine ends at
    weight_decay: float = 0.01  # not on biases, gains, decays and step sizes
    gradient_clip: float = 5.0  # largest norm of the gradient
    ema_decay: float = 0.999  # of the averaged weights, which are what is kept in the end
    seed: int = 1  # decides the initial weights and every clip
    device: str = "auto"  # auto, cpu, cuda or mps
    bfloat16: bool = True  # matrix products in bfloat16; scan, loss and weights stay float32
    checkpoint_activations: bool = False  # less memory, longer steps, the same gradients
    workers: int = 1  # processes that mix clips
    save_minutes: float = 5.0  # between two saves
    validate_minutes: float = 15.0  # between two validations
    validation_items: int = 24  # utterances scored each time
    tensorboard: bool = True  # write TensorBoard files, where the package is installed
    cache: Path | None = None  # decoded audio; None: the user's cache folder
    mixing: MixingConfig = field(default_factory=MixingConfig)
    pcs_targets: bool = False  # learn towards targets with perceptual contrast stretching
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        if self.model not in PRESETS:
            raise UsageError(f"no model {self.model!r}", f"choose one of {', '.join(PRESETS)}")
        with_switches(PRESETS[self.model], self.switches)
        if (self.minutes is None) == (self.steps is None):
            raise UsageError(
                "how long to train is not clear", "give either --minutes or --steps, not both"
            )
        for flag, value in (
            ("--minutes", self.minutes),
            ("--steps", self.steps),
            ("--batch-size", self.batch_size),
            ("--learning-rate", self.learning_rate),
            ("--save-minutes", self.save_minutes),
            ("--validate-minutes", self.validate_minutes),
            ("--validation-items", self.validation_items),
        ):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{flag} {value}: expected a number above 0")

    @property
    def network(self) -> ModelConfig:
        """The model to train."""
        return with_switches(PRESETS[self.model], self.switches)

    @property
    def run_state(self) -> Path:
        """What a resumed run starts from."""
        return self.out / "resume.safetensors"

    @property
    def last_weights(self) -> Path:
        """The averaged weights at the last save, as a checkpoint to enhance with."""
        return self.out / "last.safetensors"

    @property
    def best_weights(self) -> Path:
        """The averaged weights that validated best."""
        return self.out / "best.safetensors"

    @property
    def metrics_file(self) -> Path:
        """One line of figures per report and validation."""
        return self.out / "metrics.csv"

    @property
    def data_file(self) -> Path:
        """What the run learns from."""
        return self.out / "data.json"

    @property
    def curves_file(self) -> Path:
        """The learning curves as a picture."""
        return self.out / "curves.png"

    @property
    def tensorboard_folder(self) -> Path:
        """What `tensorboard --logdir` shows."""
        return self.out / "tensorboard"
