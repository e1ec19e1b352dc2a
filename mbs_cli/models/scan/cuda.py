"""The selective scan on NVIDIA GPUs: the fused Triton kernels on the memory of tensors.

Shapes and layouts as in `mbs_cli.models.scan.torch_operator`. With TRITON_INTERPRET=1 set before
this is imported, the kernels are interpreted on the CPU: slow, but it needs no GPU.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from mbs_cli.models.kernels import CHUNK
from mbs_cli.models.kernels.scan_triton import scan_backward, scan_forward

_LARGEST_BLOCK = 32  # features of one program: the lanes of one warp


def forward(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    initial: Tensor,
    keep_borders: bool,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, final state and borders."""
    sequences, steps, _ = x.shape
    chunks = -(-steps // chunk) if keep_borders else 0
    borders = x.new_empty(sequences, chunks, *A.shape)
    y, final = torch.empty_like(x), torch.empty_like(initial)
    tensors = (x, dt, A, B, C, D, initial, y, borders, final)
    _launch(scan_forward, tensors, x, A, keep_borders=keep_borders, chunk=chunk)
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
    chunk: int = CHUNK,
) -> tuple[Tensor, ...]:
    """Gradients of x, dt, A, B, C, D and the initial state."""
    block_n, block_d, blocks = _tile(A)
    dx, ddt, dinitial = (torch.empty_like(tensor) for tensor in (x, dt, dfinal))
    dA = x.new_empty(x.shape[0], *A.shape)
    dD = x.new_empty(x.shape[0], *D.shape)
    dB, dC = (x.new_empty(blocks, *tensor.shape) for tensor in (B, C))
    scratch = x.new_empty(x.shape[0], blocks, chunk, block_n, block_d)
    tensors = (x, dt, A, B, C, D, borders, dy, dfinal, dx, ddt, dA, dB, dC, dD, dinitial, scratch)
    _launch(scan_backward, tensors, x, A, chunk=chunk)
    return dx, ddt, dA.sum(0), dB.sum(0), dC.sum(0), dD.sum(0), dinitial


def _tile(A: Tensor) -> tuple[int, int, int]:
    """States and features in a program's tile, and how many blocks of features there are."""
    states, features = A.shape
    block_d = min(triton.next_power_of_2(features), _LARGEST_BLOCK)
    return triton.next_power_of_2(states), block_d, -(-features // block_d)


def _launch(kernel: Any, tensors: tuple[Tensor, ...], x: Tensor, A: Tensor, **options: Any) -> None:
    block_n, block_d, blocks = _tile(A)
    sizes = (x.shape[1], x.shape[2], A.shape[0])
    with torch.cuda.device_of(x):
        kernel[x.shape[0], blocks](
            *tensors, *sizes, **options, block_n=block_n, block_d=block_d, num_warps=1
        )
