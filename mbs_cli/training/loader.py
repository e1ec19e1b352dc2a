"""Training clips in batches, mixed by worker processes beside the step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mbs_cli.data.mixing import Mixer
from mbs_cli.data.pairs import PairMixer
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.processes import Processes

_PREFETCHED_BATCHES = 8
_LONG_SECONDS = (5.0, 15.0)
_LENGTHS = 1  # distinguishes what is drawn for a step from what is drawn for a clip

ClipKey = tuple[int, int]  # the number of a clip, and how many usual clips it is long


class _Clips(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, mixer: Mixer | PairMixer) -> None:
        self.mixer = mixer

    def __getitem__(self, key: ClipKey) -> tuple[Tensor, Tensor]:
        noisy, target = self.mixer.clip(*key)
        return torch.from_numpy(noisy), torch.from_numpy(target)


class _FromStep:
    """The clips of this process's part of the batches from one step on, without end."""

    def __init__(self, first_step: int, config: TrainConfig, processes: Processes) -> None:
        self.first_step, self.config, self.processes = first_step, config, processes

    def __iter__(self) -> Iterator[list[ClipKey]]:
        for step in count(self.first_step):
            yield clips_of_step(step, self.config, self.processes)


def clips_of_step(step: int, config: TrainConfig, processes: Processes) -> list[ClipKey]:
    """The clips of this process's part of a step's batch, all of one length.

    Numbers of all steps follow each other. A step of longer clips has so many fewer, so that it
    holds as much sound as any other.
    """
    first = step * config.batch_size
    own = processes.share(range(first, first + config.batch_size))
    times = _times_as_long(step, config, config.batch_size // processes.count)
    return [(number, times) for number in own[: max(1, len(own) // times)]]


def _times_as_long(step: int, config: TrainConfig, most: int) -> int:
    """How many usual clips, `most` at most, those of a step are long: of the seed and the step."""
    rng = np.random.default_rng((config.seed, step, _LENGTHS))
    if step < config.long_clips_after or rng.random() >= config.long_clips:
        return 1
    low, high = _long_times(config)
    return max(1, min(int(rng.integers(low, high + 1)), most))


def _long_times(config: TrainConfig) -> tuple[int, int]:
    """The fewest and the most usual clips that a long one is long, however small the batch."""
    shortest, longest = (seconds / config.mixing.segment_seconds for seconds in _LONG_SECONDS)
    low, high = math.ceil(shortest), math.floor(longest)
    return low, max(low, high)


def longest_clip(config: TrainConfig, processes: Processes) -> int:
    """How many usual clips the longest clip of any step is long."""
    if config.long_clips == 0:
        return 1
    return max(1, min(_long_times(config)[1], config.batch_size // processes.count))


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
            batch_sampler=_FromStep(first_step, config, processes or Processes()),
            num_workers=config.workers,
            prefetch_factor=_PREFETCHED_BATCHES if config.workers else None,
            persistent_workers=config.workers > 0,
            generator=torch.Generator(),  # or every resume would draw from torch's own once more
        )
    )
