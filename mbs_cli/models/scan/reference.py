"""The selective scan as a plain loop: slow, short, and the truth for the other implementations.

Letters: S sequences, L steps, D features, N states per feature.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reference_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    initial_state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs (S, L, D) and final state (S, D, N), in the dtype given and under autograd.

    Shapes as in `mbs_cli.models.scan.selective_scan`.
    """
    h = x.new_zeros(x.shape[0], *A.shape) if initial_state is None else initial_state
    outputs = []
    for t in range(x.shape[1]):
        decay = torch.exp(dt[:, t, :, None] * A)
        h = decay * h + (dt[:, t] * x[:, t])[:, :, None] * B[:, t, None, :]
        outputs.append((h * C[:, t, None, :]).sum(-1) + D * x[:, t])
    return torch.stack(outputs, dim=1), h
