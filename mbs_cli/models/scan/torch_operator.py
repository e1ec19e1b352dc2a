"""The scan as one operator of torch, `mbs::selective_scan`, whichever implementation runs it.

So autograd, `torch.compile`, `torch.export` and the FLOP counter see one node with known shapes.
Registered with `Library.define`: `torch.library.custom_op` does the same, but its first call
imports torch's compiler, which takes seconds.

Letters: S sequences, L steps, D features, N states per feature. States lie as (N, D) here, so that
neighbours in memory are features, along which every implementation is parallel. Borders are the
states before every chunk of steps, (S, chunks, N, D); with the inputs they are all that is kept
for the backward pass, and there are none when no gradient is asked for.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from mbs_cli.models.kernels import CHUNK

_INPUTS = "Tensor x, Tensor dt, Tensor A, Tensor B, Tensor C, Tensor D"
_library = torch.library.Library("mbs", "DEF")
_library.define(
    f"selective_scan({_INPUTS}, Tensor initial, str implementation, bool keep_borders)"
    " -> (Tensor y, Tensor final, Tensor borders)"
)
_library.define(
    f"selective_scan_backward({_INPUTS}, Tensor borders, Tensor dy, Tensor dfinal,"
    " str implementation)"
    " -> (Tensor dx, Tensor ddt, Tensor dA, Tensor dB, Tensor dC, Tensor dD, Tensor dinitial)"
)


def _module(implementation: str) -> ModuleType:
    """The module whose `forward` and `backward` do the work; each imports what it needs."""
    if implementation == "cpu":
        from mbs_cli.models.scan import cpu

        return cpu
    if implementation == "cuda":
        from mbs_cli.models.scan import cuda

        return cuda
    from mbs_cli.models.scan import chunked

    return chunked


def _precision(x: Tensor, implementation: str) -> torch.dtype:
    """Float32 whatever comes in; plain torch can also do float64, for gradient checks."""
    exact = implementation == "chunked" and x.dtype == torch.float64
    return torch.float64 if exact else torch.float32


def _forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *inputs, implementation, keep_borders = arguments
    precision = _precision(inputs[0], implementation)
    inputs = [tensor.to(precision).contiguous() for tensor in inputs]
    y, final, borders = _module(implementation).forward(*inputs, keep_borders)
    return y, final, borders


def _backward(*arguments: Any) -> tuple[Tensor, ...]:
    *inputs, implementation = arguments
    precision = _precision(inputs[0], implementation)
    inputs = [tensor.to(precision).contiguous() for tensor in inputs]
    gradients: tuple[Tensor, ...] = _module(implementation).backward(*inputs)
    return gradients


def _forward_shapes(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    x, _dt, A, *_, implementation, keep_borders = arguments
    sequences, steps, _ = x.shape
    chunks = -(-steps // CHUNK) if keep_borders else 0
    shapes = (x.shape, (sequences, *A.shape), (sequences, chunks, *A.shape))
    precision = _precision(x, implementation)
    y, final, borders = (x.new_empty(shape, dtype=precision) for shape in shapes)
    return y, final, borders


def _backward_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    *inputs, _borders, dy, dfinal, _implementation = arguments
    return tuple(dy.new_empty(tensor.shape) for tensor in (*inputs, dfinal))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, _initial, ctx.implementation, _keep = inputs
    borders = output[2]
    ctx.save_for_backward(*tensors, borders)
    ctx.mark_non_differentiable(borders)
    ctx.set_materialize_grads(False)  # or zeros as large as the borders would be made


def _differentiate(
    ctx: Any, dy: Tensor | None, dfinal: Tensor | None, _dborders: None
) -> tuple[Tensor | None, ...]:
    kept = ctx.saved_tensors  # read once: checkpointing computes them anew at each reading
    x, _dt, A, *_, borders = kept
    if dy is None:
        dy = borders.new_zeros(x.shape)
    if dfinal is None:
        dfinal = borders.new_zeros(x.shape[0], *A.shape)
    gradients = torch.ops.mbs.selective_scan_backward(*kept, dy, dfinal, ctx.implementation)
    return (*gradients, None, None)


for _name, _run, _shapes in (
    ("selective_scan", _forward, _forward_shapes),
    ("selective_scan_backward", _backward, _backward_shapes),
):
    _library.impl(_name, _run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"mbs::{_name}", _shapes, lib=_library)
torch.library.register_autograd(
    "mbs::selective_scan", _differentiate, setup_context=_setup_context, lib=_library
)
