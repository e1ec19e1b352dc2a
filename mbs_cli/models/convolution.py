"""The short depthwise convolution of a Mamba block with its SiLU, causal in time.

Letters: S sequences, L steps, E features, W taps (the last one weighs the present).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mbs_cli.models.kernels.launch import run_kernel


def causal_conv_silu(x: Tensor, weight: Tensor, bias: Tensor, past: Tensor) -> Tensor:
    """SiLU of the convolution of x (S, L, E) with weight (W, E) plus bias (E,): (S, L, E).

    x may have more features than E; they are left out. past (S, W - 1, E) holds the steps before
    the first. On the CPU one fused kernel does it in float32; elsewhere, and for torch's compiler,
    plain torch in the dtype of x.
    """
    x = x[..., : weight.shape[1]]
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        arguments = (tensor.float() for tensor in (x, weight, bias, past))
        y: Tensor = _FusedConv.apply(*arguments)  # type: ignore[no-untyped-call]
        return y
    return plain_conv_silu(x, weight, bias, past)


def plain_conv_silu(x: Tensor, weight: Tensor, bias: Tensor, past: Tensor) -> Tensor:
    """The same as a sum of shifted products, on any device and in any dtype."""
    padded = torch.cat([past.to(x.dtype), x], dim=1)
    steps = x.shape[1]
    y = bias.to(x.dtype).expand_as(x)
    for tap, factor in enumerate(weight.to(x.dtype)):
        y = y + padded[:, tap : tap + steps] * factor
    return F.silu(y)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor, past: Tensor) -> Tensor:
    from mbs_cli.models.kernels.convolution import conv_forward

    y = x.new_empty(*x.shape[:2], weight.shape[1])
    run_kernel(conv_forward, x, weight, bias, past, y)
    return y


class _FusedConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, past: Tensor) -> Tensor:
        inputs = [tensor.contiguous() for tensor in (x, weight, bias, past)]
        ctx.save_for_backward(*inputs)
        return _convolve(*inputs)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        from mbs_cli.models.kernels.convolution import conv_backward

        x, weight, bias, past = ctx.saved_tensors
        dx, dpast = torch.empty_like(x), torch.empty_like(past)
        dweight = x.new_empty(x.shape[0], *weight.shape)
        dbias = x.new_empty(x.shape[0], *bias.shape)
        run_kernel(conv_backward, x, weight, bias, past, dy, dx, dweight, dbias, dpast)
        return dx, dweight.sum(0), dbias.sum(0), dpast
