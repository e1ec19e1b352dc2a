"""Counting tensors: each storage once, for as long as it lives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mbs_cli.profiling.live_bytes import LiveBytes
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.step import Learner

KILOBYTE = 256  # float32 values


def test_the_peak_is_what_lives_at_once() -> None:
    with LiveBytes([]) as live:
        a = torch.zeros(KILOBYTE)
        b = a + 1
        del a
        c = b * 2
        view = c[3:]
        in_place = b.add_(1)
    assert live.peak == live.now == 2048
    del b, c, in_place
    assert live.now == 1024
    del view
    assert live.now == 0


def test_what_was_there_before_is_left_out() -> None:
    before = torch.zeros(KILOBYTE)
    with LiveBytes([before]) as live:
        before.add_(1)
        assert before[1:].sum() == KILOBYTE - 1
    assert live.peak < 1024


@pytest.mark.parametrize("preset", ["mbs-net-small", "bsrnn"])
def test_kept_for_backward_is_what_saved_tensor_hooks_see(preset: str) -> None:
    learner = Learner(TrainConfig(Path(), Path(), preset, steps=1), torch.device("cpu"))
    own = {parameter.untyped_storage().data_ptr() for parameter in learner.model.parameters()}
    saved: dict[int, int] = {}
    seen_by_hooks: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    def unpack(tensor: Tensor) -> Tensor:
        if not seen_by_hooks:
            seen_by_hooks.append(sum(saved.values()))
        return tensor

    clips = torch.randn(2, 1, 8_000).mul(0.1)
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        learner.step(*clips, 0, 0.0)
    with LiveBytes(learner.model.parameters()) as live:
        learner.optimizer.zero_grad(set_to_none=True)
        learner.step(*clips, 1, 0.0)
    assert live.at_backward == pytest.approx(seen_by_hooks[0], rel=0.05)
    assert live.peak >= live.at_backward
