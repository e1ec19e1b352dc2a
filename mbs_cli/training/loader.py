"""Training clips in batches, mixed by worker processes beside the step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mbs_cli.data.mixing import Mixer
from mbs_cli.data.pairs import PairMixer
from mbs_cli.training.config import TrainConfig

_PREFETCHED_BATCHES = 8


class _Clips(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, mixer: Mixer | PairMixer) -> None:
        self.mixer = mixer

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        noisy, target = self.mixer.clip(number)
        return torch.from_numpy(noisy), torch.from_numpy(target)


class _FromStep:
    """Clip numbers of the batches from one step on, without end."""

    def __init__(self, first_step: int, batch_size: int) -> None:
        self.first_step, self.batch_size = first_step, batch_size

    def __iter__(self) -> Iterator[list[int]]:
        step = self.first_step
        while True:
            yield list(range(step * self.batch_size, (step + 1) * self.batch_size))
            step += 1


def training_batches(
    mixer: Mixer | PairMixer, config: TrainConfig, first_step: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Noisy and clean (B, S) of step `first_step`, of the next, and so on without end."""
    return iter(
        DataLoader(
            _Clips(mixer),
            batch_sampler=_FromStep(first_step, config.batch_size),
            num_workers=config.workers,
            prefetch_factor=_PREFETCHED_BATCHES if config.workers else None,
            persistent_workers=config.workers > 0,
        )
    )
