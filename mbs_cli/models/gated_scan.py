"""The heart of a Mamba block: step sizes, selective scan, gate.

Letters: S sequences, L steps, E features, N states per feature, R rank of the step sizes.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from mbs_cli.models.kernels.launch import run_kernel, runs_fused
from mbs_cli.models.scan import selective_scan


def gated_scan(
    x: Tensor,
    projected: Tensor,
    main_and_gate: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    A: Tensor,
    D: Tensor,
    state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The scan of x times SiLU(gate), (S, L, E), and the final state (S, E, N).

    x (S, L, E); projected (S, L, R + 2 N), what of x makes the step sizes, B and C; main_and_gate
    (S, L, 2 E), whose second half is the gate; step_weight (E, R) and step_bias (E,) of
    dt = softplus(step_weight step + step_bias); A (E, N) negative; D (E,); state (S, E, N), zeros
    if None. For inference on the CPU one fused kernel does it.
    """
    if runs_fused(x):
        return _fused_gated_scan(x, projected, main_and_gate, step_weight, step_bias, A, D, state)
    return plain_gated_scan(x, projected, main_and_gate, step_weight, step_bias, A, D, state)


def plain_gated_scan(
    x: Tensor,
    projected: Tensor,
    main_and_gate: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    A: Tensor,
    D: Tensor,
    state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The same in separate steps, on any device and under autograd."""
    rank, states = step_weight.shape[1], A.shape[1]
    step, B, C = projected.split([rank, states, states], dim=-1)
    dt = F.softplus(F.linear(step, step_weight, step_bias).float())
    y, state = selective_scan(x, dt, A, B, C, D, state)
    gate = main_and_gate.chunk(2, dim=-1)[1]
    return y.to(gate.dtype) * F.silu(gate), state


def _fused_gated_scan(
    x: Tensor,
    projected: Tensor,
    main_and_gate: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    A: Tensor,
    D: Tensor,
    state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    from mbs_cli.models.kernels.gated_scan import gated_scan_forward

    rate = A.mT * math.log2(math.e)
    initial = x.new_zeros(x.shape[0], *rate.shape) if state is None else state.mT
    y, final = x.new_empty(x.shape), x.new_empty(x.shape[0], *rate.shape)
    inputs = (x, projected, main_and_gate, step_weight.mT, step_bias, rate, D, initial)
    run_kernel(gated_scan_forward, *inputs, y, final)
    return y, final.mT
