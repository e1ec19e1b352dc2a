"""A budget is searched by measuring, with and without checkpointed activations."""

from __future__ import annotations

import torch

from mbs_cli.profiling.bench import Bench
from mbs_cli.profiling.options import ProfileOptions
from mbs_cli.profiling.subject import Subject


def test_a_budget_just_above_one_clip_fits_one_and_more_with_checkpointing() -> None:
    announced: list[str] = []
    bench = Bench(
        Subject("mbs-net-small", "mbs-net-small"),
        ProfileOptions(batch_size=1, seconds=1.0, threads=1),
        torch.device("cpu"),
        announced.append,
    )
    one = bench.training(1)
    assert one.peak_bytes is not None
    limit = int(1.1 * one.peak_bytes)
    budget = bench.budget(limit, [one])
    assert (budget.budget_bytes, budget.limit_bytes) == (limit, limit)
    assert (budget.plain.batch_size, budget.plain.peak_bytes) == (1, one.peak_bytes)
    assert budget.plain.next_peak_bytes > limit
    assert budget.checkpointed.peak_bytes <= limit < budget.checkpointed.next_peak_bytes
    assert announced[0] == "mbs-net-small: training step, batch 1 x 1 s"
    assert announced[-1].endswith("activations checkpointed")
