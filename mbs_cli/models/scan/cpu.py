"""The selective scan on the CPU: the fused numba kernels on the memory of tensors.

Shapes and layouts as in `mbs_cli.models.scan.torch_operator`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mbs_cli.models.kernels import CHUNK
from mbs_cli.models.kernels.launch import run_kernel
from mbs_cli.models.kernels.scan import scan_backward, scan_forward


def forward(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    initial: Tensor,
    keep_borders: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, final state and borders."""
    sequences, steps, _ = x.shape
    chunks = -(-steps // CHUNK) if keep_borders else 0
    borders = x.new_empty(sequences, chunks, *A.shape)
    y, final = torch.empty_like(x), torch.empty_like(initial)
    run_kernel(scan_forward, x, dt, A, B, C, D, initial, y, borders, final)
    return y, final, borders


def backward(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    borders: Tensor,
    dy: Tensor,
    dfinal: Tensor,
) -> tuple[Tensor, ...]:
    """Gradients of x, dt, A, B, C, D and the initial state."""
    inputs = (x, dt, A, B, C, D)
    dx, ddt, dB, dC, dinitial = (torch.empty_like(tensor) for tensor in (x, dt, B, C, dfinal))
    dA = x.new_empty(x.shape[0], *A.shape)
    dD = x.new_empty(x.shape[0], *D.shape)
    outputs = (dx, ddt, dA, dB, dC, dD, dinitial)
    run_kernel(scan_backward, *inputs, borders, dy, dfinal, *outputs)
    return dx, ddt, dA.sum(0), dB, dC, dD.sum(0), dinitial
