"""Which clips a step has: all of one length, and as much sound as any other step has."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mbs_cli.training.config import TrainConfig
from mbs_cli.training.loader import clips_of_step, longest_clip, training_batches
from mbs_cli.training.processes import Processes
from mbs_cli.training.training_data import open_training_data


@pytest.fixture
def long_config(config: TrainConfig) -> TrainConfig:
    mixing = replace(config.mixing, segment_seconds=1.0)
    return replace(config, mixing=mixing, batch_size=16, long_clips=0.5, long_clips_after=100)


def test_usual_steps_have_the_numbers_that_follow_each_other(config: TrainConfig) -> None:
    config = replace(config, batch_size=4)
    keys = [key for step in range(3) for key in clips_of_step(step, config, Processes())]
    assert keys == [(number, 1) for number in range(12)]


def test_long_steps_begin_when_asked_for_and_hold_as_much_sound(long_config: TrainConfig) -> None:
    lengths = []
    for step in range(400):
        keys = clips_of_step(step, long_config, Processes())
        (times,) = {times for _, times in keys}
        lengths.append(times)
        assert len(keys) == 16 // times
        assert all(16 * step <= number < 16 * (step + 1) for number, _ in keys)
    assert set(lengths[:100]) == {1}
    late = lengths[100:]
    assert sum(times > 1 for times in late) / len(late) == pytest.approx(0.5, abs=0.1)
    assert set(late) == {1, *range(5, 16)}


def test_processes_agree_on_the_length_and_share_the_clips(long_config: TrainConfig) -> None:
    for step in range(100, 160):
        shares = [clips_of_step(step, long_config, Processes(rank, 2)) for rank in range(2)]
        assert len({times for share in shares for _, times in share}) == 1
        assert all(share for share in shares)
        assert not {number for number, _ in shares[0]} & {number for number, _ in shares[1]}


def test_batches_go_on_after_a_resume_as_if_undisturbed(long_config: TrainConfig) -> None:
    config = replace(long_config, long_clips_after=0, workers=0)
    data = open_training_data(config)
    whole = training_batches(data.train, config, 0)
    for _ in range(3):
        next(whole)
    resumed = training_batches(data.train, config, 3)
    lengths = set()
    for _ in range(4):
        for expected, found in zip(next(whole), next(resumed), strict=True):
            assert torch.equal(expected, found)
            lengths.add(found.shape[1])
    assert len(lengths) > 1


@pytest.mark.parametrize(("count", "longest"), [(1, 15), (2, 8), (16, 1)])
def test_no_step_has_longer_clips_than_the_longest(
    long_config: TrainConfig, count: int, longest: int
) -> None:
    processes = Processes(0, count)
    keys = [clips_of_step(step, long_config, processes) for step in range(100, 400)]
    assert longest_clip(long_config, processes) == longest
    assert max(times for step in keys for _, times in step) == longest
    assert longest_clip(replace(long_config, long_clips=0.0), processes) == 1
