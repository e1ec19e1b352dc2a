"""The mixer over bands as one function with gradients of its own, for training on a CPU.

As `mbs_cli.models.mamba_training` does it for Mamba. Letters: K bands, H hidden bands.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mbs_cli.models.row_training import (
    add,
    normalise,
    normalise_backward,
    product_dtype,
    run_rows,
)


def band_mixer(
    x: Tensor,
    norm: tuple[Tensor, Tensor],
    expand: tuple[Tensor, Tensor],
    reduce: tuple[Tensor, Tensor],
) -> Tensor:
    """The sum of x and reduce(GELU(expand(LayerNorm(x)))), of x (K, ..., D).

    norm: gain and shift (D,); expand: weight (H, K) and bias (H,); reduce: (K, H) and (K,).
    """
    y: Tensor = _BandMixer.apply(x, *norm, *expand, *reduce)  # type: ignore[no-untyped-call]
    return y


class _BandMixer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor) -> Tensor:
        from mbs_cli.models.kernels.rows_training import gelu_rows

        gain, shift, expand_weight, expand_bias, reduce_weight, reduce_bias = weights
        x, dtype = x.contiguous(), product_dtype()
        normed = normalise(x.view(-1, x.shape[-1]), gain, shift, dtype).view(len(x), -1)
        before = expand_weight.to(dtype) @ normed
        hidden = torch.empty_like(before)
        run_rows(gelu_rows, len(before), before, expand_bias, hidden)
        change = reduce_weight.to(dtype) @ hidden
        ctx.dtype = dtype
        ctx.save_for_backward(x, gain, shift, expand_weight, expand_bias, reduce_weight, before)
        return add(x.view(len(x), -1), change, reduce_bias[:, None]).view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        from mbs_cli.models.kernels.rows_training import gelu_rows_backward

        x, gain, shift, expand_weight, expand_bias, reduce_weight, before = ctx.saved_tensors
        rows, dtype = x.view(-1, x.shape[-1]), ctx.dtype
        dy = dy.contiguous()
        given = dy.view(len(x), -1).to(dtype)
        dhidden = reduce_weight.to(dtype).mT @ given
        hidden, dexpand_bias = torch.empty_like(dhidden), torch.empty_like(expand_bias)
        run_rows(
            gelu_rows_backward, len(before), before, expand_bias, dhidden, hidden, dexpand_bias
        )
        dreduce_weight = (given @ hidden.mT).float()
        normed = normalise(rows, gain, shift, dtype).view(len(x), -1)
        dexpand_weight = (dhidden @ normed.mT).float()
        dnormed = (expand_weight.to(dtype).mT @ dhidden).view_as(rows)
        dx, dgain, dshift = normalise_backward(rows, gain, dnormed, dy.view_as(rows))
        weights = (dexpand_weight, dexpand_bias, dreduce_weight, dy.flatten(1).sum(1))
        return dx.view_as(x), dgain, dshift, *weights
