"""The heart of a Mamba block: step sizes, selective scan, gate.

Letters: S sequences, L steps, E features, N states per feature, R rank of the step sizes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

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
    if None.
    """
    rank, states = step_weight.shape[1], A.shape[1]
    step, B, C = projected.split([rank, states, states], dim=-1)
    dt = F.softplus(F.linear(step, step_weight, step_bias).float())
    y, state = selective_scan(x, dt, A, B, C, D, state)
    gate = main_and_gate.chunk(2, dim=-1)[1]
    return y.to(gate.dtype) * F.silu(gate), state
