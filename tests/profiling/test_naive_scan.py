"""What a naive scan keeps: the formula is what autograd does, and ours keeps far less."""

from __future__ import annotations

import pytest
import torch

from mbs_cli.models.mamba import Mamba
from mbs_cli.profiling.naive_scan import ScanCalls, ScanShape, measure_naive


@pytest.mark.parametrize(
    "shape", [ScanShape(1, 1, 1, 1), ScanShape(3, 7, 5, 2), ScanShape(4, 40, 8, 12)]
)
def test_the_formula_is_what_autograd_keeps(shape: ScanShape) -> None:
    assert measure_naive(shape, torch.device("cpu")) == shape.naive_bytes


def test_ours_keeps_at_least_33_times_less_on_clips_of_2_seconds() -> None:
    block = Mamba(features=128, expand=1, states=12, step_rank=8)
    with ScanCalls() as calls:
        block(torch.zeros(2, 251, 128))
    assert calls.shapes == {ScanShape(2, 251, 128, 12): 1}
    assert calls.naive_bytes == ScanShape(2, 251, 128, 12).naive_bytes
    assert 0 < 33 * calls.border_bytes <= calls.naive_bytes


def test_nothing_is_kept_without_gradients() -> None:
    block = Mamba(features=16, expand=1, states=2, step_rank=1)
    with ScanCalls() as calls, torch.no_grad():
        block(torch.zeros(2, 40, 16))
    assert calls.border_bytes == 0
