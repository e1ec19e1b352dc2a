"""One training step: from a batch to changed weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mbs_cli.audio.pcs import stretch_waveform
from mbs_cli.audio.stft import stft
from mbs_cli.errors import CheckpointError
from mbs_cli.models.checkpoint import load_checkpoint
from mbs_cli.models.config import ModelConfig, architecture_of, switches_to
from mbs_cli.models.growth import take_over
from mbs_cli.models.precision import products_in, training_dtype
from mbs_cli.models.registry import build_model
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.losses import Part, averaged_items, enhancement_loss
from mbs_cli.training.metric_discriminator import MetricDiscriminator, tensors_below
from mbs_cli.training.optimizer import (
    WeightAverage,
    learning_rate_at,
    make_optimizer,
    set_learning_rate,
)
from mbs_cli.training.processes import Processes
from mbs_cli.training.rating_loss import ListenerRating

_METRIC_PREFIX = "metric/"


@dataclass(frozen=True)
class Gradients:
    """The gradients of a batch lie in the model; this is what they come from."""

    loss: Tensor
    parts: dict[str, Tensor]  # of the loss, before weighting
    norm: Tensor  # of the gradients, before clipping


@dataclass(frozen=True)
class StepResult:
    """What a step saw; the weights have changed only if `is_finite`."""

    loss: Tensor
    parts: dict[str, Tensor]  # of the loss, before weighting
    gradient_norm: Tensor  # before clipping
    learning_rate: float
    is_finite: bool


class Learner:
    """A model with what trains it: optimizer, gradient scaler, running average, discriminator.

    With several processes each has one, and all hold the same weights after every step.
    """

    def __init__(
        self, config: TrainConfig, device: torch.device, processes: Processes | None = None
    ) -> None:
        self.config, self.device = config, device
        self.processes = processes or Processes()
        self.model = build_model(config.network, config.checkpoint_activations).to(device)
        self.shared_model = self._share_model()
        self.optimizer = make_optimizer(self.model, config)
        self.dtype = training_dtype(config.precision, device)  # of matrix products
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16)
        self.average = WeightAverage(self.model, config.ema_decay)
        self.rating = ListenerRating().to(device) if config.loss.rating > 0 else None
        has_metric = config.loss.metric > 0
        self.metric = MetricDiscriminator(config, device, self.processes) if has_metric else None
        self.micro_batch = config.micro_batch  # clips computed at a time; None: all
        self.warm_up_from = 0  # the step that the learning rate begins to rise at

    def _share_model(self) -> nn.Module:
        """The model as it computes: the mean of all processes' gradients is every process's."""
        if self.processes.count == 1:
            return self.model
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(self.model, device_ids=devices)

    def start_from(self, path: Path) -> str:
        """Take the weights of a checkpoint, or with `grow` those that fit; what was taken.

        Raises CheckpointError if it is of another model, or if nothing fits.
        """
        start, info = load_checkpoint(path)
        if start.config != self.config.network and not self.config.grow:
            raise _other_model(path, info.preset, start.config, self.config.network)
        taken = take_over(self.model, start)
        if not taken:
            raise CheckpointError(
                f"{path}: nothing of the model {info.preset} fits {self.config.model}",
                "give another --init",
            )
        self.average = WeightAverage(self.model, self.config.ema_decay)
        tensors = len(self.model.state_dict())
        return f"started from {path}: {taken} of {tensors} tensors, the others are new"

    def state(self) -> dict[str, Tensor]:
        """All tensors that a step changes, live and by name; `scaler` has a state of its own."""
        state = {} if self.metric is None else self.metric.state_dict()
        return self._tensors() | {_METRIC_PREFIX + name: value for name, value in state.items()}

    def _tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            tensors[f"model/{name}"] = parameter.detach()
            tensors[f"average/{name}"] = self.average.values[name]
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer/{key}/{name}"] = value
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a saved `state`.

        Raises KeyError, ValueError or RuntimeError if something is missing or of another shape.
        """
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(tensors[name])
        if self.metric is not None:
            self.metric.load_state_dict(tensors_below(_METRIC_PREFIX, tensors))

    def step(self, noisy: Tensor, target: Tensor, number: int, progress: float) -> StepResult:
        """Learn from noisy and clean (B, S); step `number` is the one at `progress` of the run."""
        return self.apply(self.gradients(noisy, target, progress), number, progress)

    def gradients(self, noisy: Tensor, target: Tensor, progress: float) -> Gradients:
        """What noisy and clean (B, S) say; if it raises, nothing has changed."""
        with _rewound_on_failure(self.device):
            loss, parts = self.accumulate(noisy, target, self._metric_at(progress))
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        return Gradients(loss, parts, norm)

    def apply(self, gradients: Gradients, number: int, progress: float) -> StepResult:
        """Change the weights by the gradients just computed, unless something is not finite."""
        rate = learning_rate_at(number - self.warm_up_from, progress, self.config)
        set_learning_rate(self.optimizer, rate)
        loss, norm = gradients.loss, gradients.norm
        is_finite = bool(torch.isfinite(loss) & torch.isfinite(norm))
        if is_finite:
            self.scaler.step(self.optimizer)
            self.average.update(self.model, number)
        self.scaler.update()
        metric = self._metric_at(progress)
        if metric is not None:
            metric.learn(number)
        return StepResult(loss, gradients.parts, norm, rate, is_finite)

    def _metric_at(self, progress: float) -> MetricDiscriminator | None:
        """The discriminator, once it is used."""
        return self.metric if progress >= self.config.loss.metric_start else None

    def accumulate(
        self, noisy: Tensor, target: Tensor, metric: MetricDiscriminator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The gradients of the whole batch, piece by piece; its loss, and the parts of it.

        noisy and target are this process's clips (B, S) of the batch; gradient, loss and parts are
        the means over those of all processes.
        """
        self.optimizer.zero_grad(set_to_none=True)
        if metric is not None:
            metric.begin_step()
        noisy, target = noisy.to(self.device), target.to(self.device)
        if self.config.pcs_targets:
            target = stretch_waveform(target)
        whole = self.processes.sum(averaged_items(noisy, target))
        size = len(noisy) if self.micro_batch is None else self._clips_at_a_time(noisy)
        pieces = list(zip(noisy.split(size), target.split(size), strict=True))
        networks = self._networks(None if metric is None else metric.term)
        sums: dict[str, Tensor] = {}
        for number, piece in enumerate(pieces):
            with self._gradients_shared(is_wanted=number == len(pieces) - 1):
                found = self._backward(*piece, whole, networks)
            sums = {name: value + sums.get(name, 0.0) for name, value in found.items()}
        sums = self.processes.sum(sums)
        return sums.pop("loss"), sums

    def _clips_at_a_time(self, noisy: Tensor) -> int:
        """How many of these clips hold no more sound than `micro_batch` of the usual length."""
        assert self.micro_batch is not None
        usual = self.config.mixing.segment_samples
        return max(1, self.micro_batch * usual // max(usual, noisy.shape[1]))

    def rehearse(self, noisy: Tensor, target: Tensor, pieces: int = 2) -> None:
        """Compute the gradients of these clips at once, tell no other process, and forget them.

        Twice by default, as the second piece of a batch needs more memory than the first; and with
        the discriminator, even if that is not used yet.
        """
        networks = self._networks(None if self.metric is None else self.metric.distance)
        noisy, target = noisy.to(self.device), target.to(self.device)
        with _rewound_on_failure(self.device), self._gradients_shared(is_wanted=False):
            for _ in range(pieces):
                self._backward(noisy, target, averaged_items(noisy, target), networks)
        self.optimizer.zero_grad(set_to_none=True)

    def _networks(self, metric: Part | None) -> dict[str, Part]:
        """The parts of the loss that take a network."""
        parts = {"rating": self.rating and self.rating.distance, "metric": metric}
        return {name: part for name, part in parts.items() if part is not None}

    def _gradients_shared(self, *, is_wanted: bool) -> AbstractContextManager[None]:
        if is_wanted or not isinstance(self.shared_model, DistributedDataParallel):
            return nullcontext()
        synchronised_later: AbstractContextManager[None] = self.shared_model.no_sync()
        return synchronised_later

    def _backward(
        self,
        noisy: Tensor,
        target: Tensor,
        whole: dict[str, Tensor],
        networks: Mapping[str, Part],
    ) -> dict[str, Tensor]:
        """Add the gradients of a piece of a batch; what it adds to the loss and its parts."""
        with products_in(self.dtype, self.device):
            estimate = self.shared_model(stft(noisy, self.model.framing))
        loss, parts = enhancement_loss(
            estimate.float(), noisy, target, self.model.framing, self.config.loss, whole, networks
        )
        # The processes' gradients are averaged, where the pieces' are to be added.
        self.scaler.scale(loss * self.processes.count).backward()
        return {"loss": loss.detach()} | {name: part.detach() for name, part in parts.items()}


def _other_model(
    path: Path, preset: str, found: ModelConfig, wanted: ModelConfig
) -> CheckpointError:
    """Says what a checkpoint to begin with has, and what would train just that."""
    others = "another --init, or --grow to take over what they have in common"
    if architecture_of(found) != architecture_of(wanted):
        return CheckpointError(
            f"{path}: holds the model {preset}, and another one is to be trained",
            f"give --model {architecture_of(found)} with its switches, or {others}",
        )
    switches = switches_to(wanted, found)
    options = " ".join(f"--switch {switch}" for switch in switches)
    return CheckpointError(
        f"{path}: holds the model {preset} with {', '.join(switches)}, and what is to be trained "
        "differs in that",
        f"give {options} as well, or {others}",
    )


@contextmanager
def _rewound_on_failure(device: torch.device) -> Iterator[None]:
    """Random generators as before if what is inside fails."""
    state = torch.get_rng_state()
    cuda_state = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    except BaseException:
        torch.set_rng_state(state)
        if cuda_state is not None:
            torch.cuda.set_rng_state(cuda_state, device)
        raise
