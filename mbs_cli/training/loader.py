"""Training clips in batches, mixed by worker processes beside the step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mbs_cli.data.mixing import Mixer
from mbs_cli.data.pairs import PairMixer
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.processes import Processes

_PREFETCHED_BATCHES = 8


class _Clips(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, mixer: Mixer | PairMixer) -> None:
        self.mixer = mixer

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        noisy, target = self.mixer.clip(number)
        return torch.from_numpy(noisy), torch.from_numpy(target)


class _FromStep:
    """Clip numbers of this process's part of the batches from one step on, without end."""

    def __init__(self, first_step: int, batch_size: int, processes: Processes) -> None:
        self.first_step, self.batch_size, self.processes = first_step, batch_size, processes

    def __iter__(self) -> Iterator[list[int]]:
        for step in count(self.first_step):
            yield list(self.processes.share(clip_numbers(step, self.batch_size)))


def clip_numbers(step: int, batch_size: int) -> range:
    """The clips of a step's whole batch: those of all steps follow each other."""
    return range(step * batch_size, (step + 1) * batch_size)


def training_batches(
    mixer: Mixer | PairMixer,
    config: TrainConfig,
    first_step: int,
    processes: Processes | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Noisy and clean (B, S) of step `first_step`, of the next, and so on without end.

    With several processes B is this one's part of the batch. The workers start at once.
    """
    return iter(
        DataLoader(
            _Clips(mixer),
            batch_sampler=_FromStep(first_step, config.batch_size, processes or Processes()),
            num_workers=config.workers,
            prefetch_factor=_PREFETCHED_BATCHES if config.workers else None,
            persistent_workers=config.workers > 0,
            generator=torch.Generator(),  # or every resume would draw from torch's own once more
        )
    )
