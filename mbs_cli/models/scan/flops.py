"""How much the scan computes, for torch's FLOP counter; importing this tells the counter.

A product, a sum and an exponential count one each, as the counter has it (a multiply-add is two).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

from mbs_cli.models.scan import gated as _gated  # noqa: F401 - defines the operator

_Shape = Sequence[int]


@register_flop_formula(torch.ops.mbs.selective_scan)
def scan_flops(x: _Shape, _dt: _Shape, A: _Shape, *_: Any, **__: Any) -> int:
    """Per state 7 (decay 2, push and sum 3, output 2), per feature 3 (dt x, D x and its sum)."""
    sequences, steps, features = x
    return sequences * steps * features * (7 * A[0] + 3)


@register_flop_formula(torch.ops.mbs.selective_scan_backward)
def scan_backward_flops(x: _Shape, _dt: _Shape, A: _Shape, *_: Any, **__: Any) -> int:
    """Per state 19 (5 of them rebuild the state), per feature 8."""
    sequences, steps, features = x
    return sequences * steps * features * (19 * A[0] + 8)


@register_flop_formula(torch.ops.mbs.gated_scan)
def gated_scan_flops(*inputs: Any, **__: Any) -> int:
    """As the scan, and a product that makes the step sizes; padding does not count."""
    _, (rows, features), _, (rank, _), _, (states, _), *_ = inputs
    total: int = rows * features * (7 * states + 3 + 2 * rank)
    return total
