"""One training step: from a batch to changed weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mbs_cli.audio.pcs import stretch_waveform
from mbs_cli.audio.stft import stft
from mbs_cli.models.registry import build_model
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.losses import enhancement_loss
from mbs_cli.training.metric_discriminator import MetricDiscriminator
from mbs_cli.training.optimizer import (
    WeightAverage,
    learning_rate_at,
    make_optimizer,
    set_learning_rate,
)


@dataclass(frozen=True)
class StepResult:
    """What a step saw; the weights have changed only if `is_finite`."""

    loss: Tensor
    parts: dict[str, Tensor]  # of the loss, before weighting
    gradient_norm: Tensor  # before clipping
    learning_rate: float
    is_finite: bool


class Learner:
    """A model with what trains it: optimizer, running average of the weights, discriminator."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.model = build_model(config.network, config.checkpoint_activations).to(device)
        self.optimizer = make_optimizer(self.model, config)
        self.average = WeightAverage(self.model, config.ema_decay)
        has_metric = config.loss.metric > 0
        self.metric = MetricDiscriminator(config, device) if has_metric else None

    def start_from(self, model: nn.Module) -> None:
        """Take over the weights of a model of the same config."""
        self.model.load_state_dict(model.state_dict())
        self.average = WeightAverage(self.model, self.config.ema_decay)

    def step(self, noisy: Tensor, target: Tensor, number: int, progress: float) -> StepResult:
        """Learn from noisy and clean (B, S); step `number` is the one at `progress` of the run."""
        rate = learning_rate_at(number, progress, self.config)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        metric = self.metric if progress >= self.config.loss.metric_start else None
        if metric is not None:
            metric.begin_step()
        loss, parts = self._accumulate(noisy.to(self.device), target.to(self.device), metric)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        is_finite = bool(torch.isfinite(loss) & torch.isfinite(norm))
        if is_finite:
            self.optimizer.step()
            self.average.update(self.model, number)
        if metric is not None:
            metric.learn(number)
        return StepResult(loss, parts, norm, rate, is_finite)

    def _accumulate(
        self, noisy: Tensor, target: Tensor, metric: MetricDiscriminator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Gradients of a batch, added to those that are there; its loss and the parts of it."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            estimate = self.model(stft(noisy))
        if self.config.pcs_targets:
            target = stretch_waveform(target)
        term = None if metric is None else metric.term
        loss, parts = enhancement_loss(
            estimate.float(), noisy, target, self.config.loss, metric=term
        )
        loss.backward()
        return loss.detach(), parts
