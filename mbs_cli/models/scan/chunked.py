"""The selective scan in plain torch, for any device and also in float64.

Chunk by chunk, so that decays and states exist for 32 steps at a time and not for all of them.
Layouts as in `mbs_cli.models.scan.torch_operator`, with T steps in a chunk. Only sums and products
by element: no matrix product, which autocast or TensorFloat-32 would round.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mbs_cli.models.kernels import CHUNK

# Most elements of one temporary (S, T, N, D): what stays in a CPU's cache, and a bound elsewhere.
_CPU_ELEMENTS, _ELEMENTS = 2**20, 2**26


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
    y, final = D * x, initial.clone()
    chunks = -(-x.shape[1] // chunk)
    borders = x.new_empty(x.shape[0], chunks if keep_borders else 0, *A.shape)
    for rows in _blocks_of_sequences(x, A, chunk):
        for place in range(chunks):
            part = (rows, slice(place * chunk, (place + 1) * chunk))
            if keep_borders:
                borders[rows, place] = final[rows]
            decays = torch.exp(dt[part][:, :, None] * A)
            pushes = (dt[part] * x[part])[:, :, None] * B[part][..., None]
            states = _scan(decays, pushes, final[rows])
            y[part] += (states * C[part][..., None]).sum(2)
            final[rows] = states[:, -1]
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
    dx, ddt, dB, dC = (torch.empty_like(tensor) for tensor in (x, dt, B, C))
    dA = torch.zeros_like(A)
    dh = dfinal.clone()  # gradient of the state after the chunk
    for rows in _blocks_of_sequences(x, A, chunk):
        for place in reversed(range(borders.shape[1])):
            part = (rows, slice(place * chunk, (place + 1) * chunk))
            gradients = _chunk_backward(
                x[part], dt[part], A, B[part], C[part], borders[rows, place], dy[part], dh[rows]
            )
            dx[part], ddt[part], dA_part, dB[part], dC[part], dh[rows] = gradients
            dA += dA_part
    return dx + D * dy, ddt, dA, dB, dC, (dy * x).sum((0, 1)), dh


def _blocks_of_sequences(x: Tensor, A: Tensor, chunk: int) -> Iterator[slice]:
    most = _CPU_ELEMENTS if x.device.type == "cpu" else _ELEMENTS
    size = max(1, most // (chunk * A.numel()))
    for start in range(0, x.shape[0], size):
        yield slice(start, start + size)


def _chunk_backward(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, border: Tensor, dy: Tensor, dh: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of x, dt, A, B, C and the border, by one chunk; D's path is left out."""
    decays = torch.exp(dt[:, :, None] * A)
    states = _scan(decays, (dt * x)[:, :, None] * B[..., None], border)
    dC = (states * dy[:, :, None]).sum(-1)
    before = torch.cat([border[:, None], states[:, :-1]], 1)
    # The same recurrence backwards in time: a state reaches the loss through its own output and,
    # decayed, through the next state.
    later_decays = torch.cat([torch.ones_like(dh)[:, None], decays[:, 1:].flip(1)], 1)
    dstates = _scan(later_decays, (C[..., None] * dy[:, :, None]).flip(1), dh).flip(1)
    dB = (dstates * (dt * x)[:, :, None]).sum(-1)
    ddtx = (dstates * B[..., None]).sum(2)
    dbefore = dstates * decays
    through = dbefore * before
    dA = (through * dt[:, :, None]).sum((0, 1))
    ddt = (through * A).sum(2) + ddtx * x
    return ddtx * dt, ddt, dA, dB, dC, dbefore[:, 0]


def _scan(decays: Tensor, pushes: Tensor, start: Tensor) -> Tensor:
    """States (S, T, N, D) of h_t = decays_t h_{t-1} + pushes_t from the state `start` (S, N, D).

    `pushes` is overwritten.
    """
    pushes[:, 0] += decays[:, 0] * start
    if pushes.device.type == "cpu":
        return scan_by_steps(decays, pushes)
    return scan_by_doubling(decays, pushes)


def scan_by_steps(decays: Tensor, pushes: Tensor) -> Tensor:
    """States (S, T, N, D) from zero, one step after the other, in the memory of `pushes`."""
    for t in range(1, pushes.shape[1]):
        pushes[:, t].addcmul_(decays[:, t], pushes[:, t - 1])
    return pushes


def scan_by_doubling(decays: Tensor, pushes: Tensor) -> Tensor:
    """The same in log2(T) rounds over all steps at once, for devices where starting work is slow.

    Each round doubles the steps that a sum and a product reach back. Decays are multiplied, never
    divided by, so that nothing overflows.
    """
    reach = 1
    while reach < pushes.shape[1]:
        late, early = slice(reach, None), slice(None, -reach)
        sums = pushes[:, late] + decays[:, late] * pushes[:, early]
        pushes = torch.cat([pushes[:, :reach], sums], 1)
        decays = torch.cat([decays[:, :reach], decays[:, late] * decays[:, early]], 1)
        reach *= 2
    return pushes
