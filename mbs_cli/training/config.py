"""Everything that decides a training run, saved with it. Imports nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mbs_cli.data.config import MixingConfig
from mbs_cli.errors import UsageError
from mbs_cli.models.config import PRESETS, ModelConfig, with_switches
from mbs_cli.options import flags_of, option

_PATIENCE_WITH_INIT = 5
_LARGEST_SEED = 2**63 - 1

# What is checked of the fields of TrainConfig.
_ABOVE_ZERO = (
    "minutes",
    "steps",
    "batch_size",
    "micro_batch",
    "learning_rate",
    "gradient_clip",
    "save_minutes",
    "keep_every",
    "validate_minutes",
    "validation_items",
)
_ZERO_OR_MORE = ("long_clips_after", "warmup_steps", "weight_decay", "patience", "workers")
_SHARES = ("long_clips", "final_rate", "ema_decay")


# The parts of the loss that have a weight.
WEIGHTS = (
    "magnitude",
    "complex",
    "si_sdr",
    "snr",
    "time",
    "phase",
    "consistency",
    "over_attenuation",
    "loudness",
    "rating",
    "metric",
)


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts of the loss, 0 for none; the defaults are the shipped recipe.

    The levels that the parts are taken at differ between papers, and with them the weights.
    MP-SENet's, brought to a magnitude weight of 90 at the level used here: complex 10, time 50,
    phase 8, consistency 10, metric 1.3.
    """

    magnitude: float = option(
        "Weight of the error of compressed magnitudes.", default=90.0, flag="--magnitude-weight"
    )
    complex: float = option(
        "Weight of the error of compressed complex values.", default=20.0, flag="--complex-weight"
    )
    si_sdr: float = option("Weight of SI-SDR, in bels.", default=0.0, flag="--si-sdr-weight")
    snr: float = option(
        "Weight of the signal-to-noise ratio, in bels; unlike SI-SDR it minds the level.",
        default=2.5,
        flag="--snr-weight",
    )
    time: float = option("Weight of the error of samples.", default=0.0, flag="--time-weight")
    phase: float = option(
        "Weight of the error of phase, group delay and angular frequency, in radians.",
        default=0.0,
        flag="--phase-weight",
    )
    consistency: float = option(
        "Weight of what of the estimate is lost between iSTFT and STFT.",
        default=0.0,
        flag="--consistency-weight",
    )
    over_attenuation: float = option(
        "Weight of compressed magnitudes below the target's.",
        default=45.0,
        flag="--over-attenuation-weight",
    )
    loudness: float = option(
        "Weight of loudness that differs as a listener hears it, in points of quality.",
        default=2.0,
        flag="--loudness-weight",
    )
    rating: float = option(
        "Weight of what listeners would rate clean speech better by, in points, as the network of "
        "DNSMOS guesses it.",
        default=0.0,
        flag="--rating-weight",
    )
    metric: float = option(
        "Weight of the distance of a discriminator's guess of PESQ from perfect.",
        default=0.0,
        flag="--metric-weight",
    )
    metric_start: float = option(
        "Share of the run after which the discriminator is used.", default=0.5
    )
    metric_items: int = option(
        "Clips of a step whose PESQ is measured, for the discriminator to learn from.", default=4
    )

    def __post_init__(self) -> None:
        flags = flags_of(self)
        weights = {name: getattr(self, name) for name in WEIGHTS}
        for name, weight in weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(f"{flags[name]} {weight}: expected 0 or a number above")
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

    data: Path = option(
        "Folder with clean/ and noisy/ (pairs), or clean/ and noise/ (and rir/) to be mixed; or "
        "with train/ and valid/ that hold them; or with the folders of VoiceBank+DEMAND; or a "
        "manifest CSV.",
        metavar="DATA",
        shown_default=False,
        is_argument=True,
    )
    out: Path = option("The run folder: weights, metrics, and what --resume needs.")
    model: str = option(f"One of {', '.join(PRESETS)}.", default="mbs-net")
    switches: tuple[str, ...] = option(
        "Change one field of the model's config, e.g. time_layer=lstm. Repeatable.",
        default=(),
        flag="--switch",
        metavar="NAME=VALUE",
        shown_default=False,
    )
    init: Path | None = option(
        "Fine-tune: start from a shipped model or a checkpoint of the same preset.",
        default=None,
        metavar="NAME|PATH",
        shown_default="from scratch",
    )
    grow: bool = option(
        "Take over what --init has in common with a model of another preset or other switches; "
        "new directions of time and new layers start silent.",
        default=False,
    )
    minutes: float | None = option("Train that long, resumed runs counted together.", default=None)
    clock: Literal["wall", "cpu"] = option(
        "What --minutes counts: time on the wall or of the processor.", default="wall"
    )
    steps: int | None = option("Train that many steps instead; exactly repeatable.", default=None)
    batch_size: int = option("Clips per step, of all devices together.", default=4)
    long_clips: float = option(
        "Share of the steps whose batch is the same amount of sound in clips of 5 to 15 s.",
        default=0.0,
    )
    long_clips_after: int = option("Steps before the first of those.", default=0)
    micro_batch: int | None = option(
        "Compute the batch in pieces of that many clips per device: less memory, the same "
        "gradient.",
        default=None,
        shown_default="all clips at once",
    )
    auto_batch: bool = option(
        "When memory runs out, halve the micro-batch, do the step again and go on.", default=False
    )
    checkpoint_activations: bool = option(
        "Compute every encoder layer twice to keep less memory for the backward pass; steps take "
        "about a fifth longer, gradients stay the same.",
        default=False,
    )
    learning_rate: float = option("Learning rate after the warm-up.", default=3e-3)
    warmup_steps: int = option("Steps of linearly rising learning rate.", default=200)
    final_rate: float = option("Share of the learning rate that the cosine ends at.", default=0.01)
    weight_decay: float = option(
        "Of all weights but biases, gains, decays and step sizes.", default=0.01
    )
    gradient_clip: float = option("Largest norm of the gradient.", default=10.0)
    ema_decay: float = option(
        "Of the averaged weights, which are what is validated and kept.", default=0.999
    )
    pcs_targets: bool = option(
        "Train towards speech with perceptual contrast stretching: higher PESQ, lower CBAK and "
        "SI-SDR.",
        default=False,
    )
    seed: int = option("Decides the initial weights and every clip.", default=1)
    device: Literal["auto", "cpu", "cuda", "mps"] = option(
        "Where to compute; auto takes cuda, then mps, then cpu.", default="auto"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "Of matrix products; scan, loss and weights stay float32. auto takes bfloat16 where the "
        "device has instructions for it, else float32. float16 needs CUDA, and is for GPUs "
        "without bfloat16.",
        default="auto",
    )
    workers: int = option("Processes that mix clips, for each device.", default=1)
    save_minutes: float = option("Minutes between two saves.", default=5.0)
    keep_every: int | None = option(
        "Also keep the weights of every so many steps, as OUT/step-NUMBER.safetensors.",
        default=None,
        metavar="STEPS",
        shown_default="only last and best",
    )
    validate_minutes: float = option("Minutes between two validations.", default=15.0)
    validation_items: int = option("Held-out utterances scored each time.", default=24)
    tensorboard: bool = option(
        "Write figures, sound and spectrograms for TensorBoard into the run folder.", default=True
    )
    patience: int | None = option(
        "End the run, in its second half, after that many validations in a row without a better "
        "score; 0: never.",
        default=None,
        shown_default=f"{_PATIENCE_WITH_INIT} with --init, else 0",
    )
    cache: Path | None = option(
        "Folder for decoded audio.", default=None, shown_default="the user's cache folder"
    )
    mixing: MixingConfig = field(default_factory=MixingConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        if self.model not in PRESETS:
            raise UsageError(f"no model {self.model!r}", f"choose one of {', '.join(PRESETS)}")
        with_switches(PRESETS[self.model], self.switches)
        if (self.minutes is None) == (self.steps is None):
            raise UsageError(
                "how long to train is not clear", "give either --minutes or --steps, not both"
            )
        if self.grow and self.init is None:
            raise UsageError("--grow: there is nothing to grow from", "give --init as well")
        self._check_numbers()

    def _check_numbers(self) -> None:
        flags = flags_of(self)
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{flags[name]} {value}: expected a number above 0")
        for name in _ZERO_OR_MORE:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{flags[name]} {value}: expected 0 or more")
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise UsageError(f"--seed {self.seed}: expected 0 to {_LARGEST_SEED}")
        for name in _SHARES:
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise UsageError(f"{flags[name]} {share}: expected a share from 0 to 1")

    @property
    def network(self) -> ModelConfig:
        """The model to train."""
        return with_switches(PRESETS[self.model], self.switches)

    @property
    def patience_validations(self) -> int:
        """Validations without a better score that end the run; 0: none do."""
        if self.patience is not None:
            return self.patience
        return 0 if self.init is None else _PATIENCE_WITH_INIT

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

    def kept_weights(self, step: int) -> Path:
        """The averaged weights after that step, kept for --keep-every."""
        return self.out / f"step-{step:08d}.safetensors"

    @property
    def description(self) -> Path:
        """How the run was started: options, command, versions."""
        return self.out / "config.json"

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
