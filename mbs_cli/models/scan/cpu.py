"""The selective scan on the CPU through the fused numba kernels, with its own backward pass.

Kept for the backward pass: the inputs and the state at every 32nd step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mbs_cli.models.kernels.launch import run_kernel
from mbs_cli.models.kernels.scan import CHUNK, scan_backward, scan_forward


class _CpuScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, initial: Tensor
    ) -> tuple[Tensor, Tensor]:
        sequences, steps, features = x.shape
        inputs = [tensor.contiguous() for tensor in (x, dt, A.T, B, C, D)]
        chunks = -(-steps // CHUNK) if any(ctx.needs_input_grad) else 0
        borders = x.new_empty(sequences, chunks, A.shape[1], features)
        y = torch.empty_like(inputs[0])
        final = x.new_empty(sequences, A.shape[1], features)
        start = initial.transpose(1, 2)
        run_kernel(scan_forward, *inputs, start, y, borders, final)
        ctx.save_for_backward(*inputs, borders)
        return y, final.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, dfinal: Tensor) -> tuple[Tensor, ...]:
        *inputs, borders = ctx.saved_tensors
        x, dt, A, B, C, _ = inputs
        dx, ddt, dB, dC = (torch.empty_like(tensor) for tensor in (x, dt, B, C))
        dA = x.new_empty(x.shape[0], *A.shape)
        dD = x.new_empty(x.shape[0], x.shape[2])
        dinitial = x.new_empty(x.shape[0], *A.shape)
        after = dfinal.transpose(1, 2)
        run_kernel(
            scan_backward,
            *inputs,
            borders,
            dy,
            after,
            dx,
            ddt,
            dA,
            dB,
            dC,
            dD,
            dinitial,
        )
        return dx, ddt, dA.sum(0).T, dB, dC, dD.sum(0), dinitial.transpose(1, 2)


def cpu_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    initial_state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs (S, L, D) and final state (S, D, N), in float32 whatever comes in.

    Shapes as in `mbs_cli.models.scan.selective_scan`.
    """
    if initial_state is None:
        initial_state = x.new_zeros(x.shape[0], *A.shape)
    arguments = (tensor.float() for tensor in (x, dt, A, B, C, D, initial_state))
    y, final = _CpuScan.apply(*arguments)  # type: ignore[no-untyped-call]
    return y, final
