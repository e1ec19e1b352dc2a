"""The optimizer, its schedule, and the running average of the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mbs_cli.training.config import TrainConfig

# Parts of names; where there is one for every band these have several dimensions.
_UNDECAYED = ("A_log", "dt_proj", "bias", "gain", "shift")


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW that lets biases, gains, decays and step sizes be."""
    decayed: list[nn.Parameter] = []
    undecayed: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        plain = parameter.ndim < 2 or any(part in name for part in _UNDECAYED)
        (undecayed if plain else decayed).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": undecayed, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(0.9, 0.99),
        fused=True,
    )
    _allocate_state(optimizer)
    return optimizer


def _allocate_state(optimizer: torch.optim.AdamW) -> None:
    """What the first step would allocate, so that memory that suffices for it does for all."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }


def learning_rate_at(step: int, progress: float, config: TrainConfig) -> float:
    """Linear warm-up by steps, then half a cosine by progress (0 to 1)."""
    warmup = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    return config.learning_rate * warmup * decayed_share(progress, config)


def decayed_share(progress: float, config: TrainConfig) -> float:
    """How much of the learning rate the cosine leaves at `progress` (0 to 1) of the run."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
    return config.final_rate + (1 - config.final_rate) * cosine


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """For every group of parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


class WeightAverage:
    """Exponential moving average of a model's parameters, quick at first, slow later."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the weights after step number `step` (from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        current = [parameter.detach() for parameter in model.parameters()]
        torch._foreach_lerp_(list(self.values.values()), current, weight)

    def copy_to(self, model: nn.Module) -> None:
        """Overwrite the parameters of `model`, one of the same config."""
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self.values[name])

    def load(self, values: dict[str, Tensor]) -> None:
        """Overwrite the average with saved values of the same names."""
        for name, value in values.items():
            self.values[name].copy_(value)
