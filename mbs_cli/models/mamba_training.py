"""A Mamba layer as one function with gradients of its own, for training on a CPU.

Autograd would keep every intermediate value of a layer and run through memory for each small
operation. Here torch does the matrix products and fused kernels do what lies between them, in the
dtype of autocast; kept are a layer's input, what the kernels cannot cheaply compute again, and the
states of the scan at the borders of its chunks. `MambaLayer` is the same in plain torch, for other
devices, and what this is tested against.

Letters: D features, E inner features, N states, R rank of the step sizes, W taps, S sequences.
Rows are the steps of all sequences, which lie as a `Layout` tells.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mbs_cli.models.layout import Layout
from mbs_cli.models.row_training import (
    add,
    normalise,
    normalise_backward,
    product_dtype,
    run_rows,
)
from mbs_cli.models.scan.gated import gated_scan, gated_scan_backward


class DirectionWeights(NamedTuple):
    """What one direction of a layer is made of."""

    into: Tensor  # (2 E, D), to the main path and the gate
    convolution: Tensor  # (W, E)
    convolution_bias: Tensor  # (E,)
    projection: Tensor  # (R + 2 N, E), to step sizes, B and C
    step: Tensor  # (E, R)
    step_bias: Tensor  # (E,)
    A: Tensor  # (E, N), negative
    skip: Tensor  # (E,)
    out: Tensor  # (D, E)


class _Inside(NamedTuple):
    """What the backward pass needs of the forward pass of a direction."""

    main_and_gate: Tensor  # (rows, 2 E)
    main: Tensor  # (rows, E), after the convolution
    projected: Tensor  # (rows, R + 2 N)
    borders: Tensor  # as `kernels.gated_scan` gives them


def mamba_layer(
    x: Tensor,
    layout: Layout,
    norm: tuple[Tensor, Tensor],
    bias: Tensor,
    directions: list[DirectionWeights],
) -> tuple[Tensor, Tensor, Tensor]:
    """The sum of x (rows, D), bias (D,) and Mamba of LayerNorm(x), once for every direction.

    Also, without gradients, the state after the last step of the first direction: the last inputs
    of the convolution (S, W - 1, E) and the state of the scan (S, E, N). norm: gain and shift (D,).
    A second direction goes backwards.
    """
    weights = [weight for direction in directions for weight in direction]
    y, past, final = _MambaLayer.apply(x, layout, *norm, bias, *weights)  # type: ignore[no-untyped-call]
    return y, past, final


class _MambaLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        layout: Layout,
        gain: Tensor,
        shift: Tensor,
        bias: Tensor,
        *weights: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, dtype = x.contiguous(), product_dtype()
        normed = normalise(x, gain, shift, dtype)
        directions = _directions(layout, weights, dtype)
        change: Tensor | None = None
        insides = []
        for direction in directions:
            y, inside = direction.forward(normed)
            change = _plus_product(change, y, direction.out.mT)
            insides.append(inside)
        assert change is not None
        state = directions[0].state(insides[0])
        ctx.layout, ctx.dtype, ctx.weights = layout, dtype, len(weights)
        kept = [tensor for inside in insides for tensor in inside]
        ctx.save_for_backward(x, gain, shift, *weights, *kept)
        ctx.mark_non_differentiable(*state)
        ctx.set_materialize_grads(False)  # or zeros would be made for the state
        return add(x, change, bias[None]), *state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: None) -> tuple[Any, ...]:
        x, gain, shift, *rest = ctx.saved_tensors
        weights, kept = rest[: ctx.weights], rest[ctx.weights :]
        dy = dy.contiguous()
        given = dy.to(ctx.dtype)
        normed = normalise(x, gain, shift, ctx.dtype)
        dnormed: Tensor | None = None
        gradients: list[Tensor] = []
        directions = _directions(ctx.layout, weights, ctx.dtype)
        for direction, inside in zip(directions, _grouped(kept, _Inside), strict=True):
            dmain_and_gate, found = direction.backward(normed, given, inside)
            dnormed = _plus_product(dnormed, dmain_and_gate, direction.into)
            gradients += found
        assert dnormed is not None
        dx, dgain, dshift = normalise_backward(x, gain, dnormed, dy)
        return dx, None, dgain, dshift, dy.sum(0), *gradients


def _plus_product(total: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    return a @ b if total is None else total.addmm_(a, b)


def _directions(layout: Layout, weights: Any, dtype: torch.dtype) -> list[_Direction]:
    layouts = (layout, layout.reversed())
    grouped = _grouped(weights, DirectionWeights)
    return [_Direction(*of_one, dtype) for of_one in zip(layouts, grouped, strict=False)]


def _grouped(tensors: Any, kind: Any) -> list[Any]:
    """Tensors in a row as named ones, of one direction after the other."""
    count = len(kind._fields)
    return [kind(*tensors[i : i + count]) for i in range(0, len(tensors), count)]


class _Direction:
    """One direction of a layer between its norm and its sum, with products in that dtype."""

    def __init__(self, layout: Layout, weights: DirectionWeights, dtype: torch.dtype) -> None:
        self.layout = layout
        self.into, self.projection, self.out = (
            weight.to(dtype) for weight in (weights.into, weights.projection, weights.out)
        )
        self.convolution = (weights.convolution, weights.convolution_bias)
        self.inner, self.states = weights.A.shape
        step = (weights.step.mT.contiguous(), weights.step_bias)
        self.dynamics = (*step, _padded_rate(weights.A), weights.skip)

    def forward(self, normed: Tensor) -> tuple[Tensor, _Inside]:
        """The gated output of the scan (rows, E), and what `backward` needs."""
        from mbs_cli.models.kernels.convolution import convolve

        main_and_gate = normed @ self.into.mT
        main = normed.new_empty(len(normed), self.inner)
        self._run(convolve, main_and_gate, *self.convolution, main)
        projected = main @ self.projection.mT
        y, borders = gated_scan(self.layout, main_and_gate, main, projected, *self.dynamics)
        return y, _Inside(main_and_gate, main, projected, borders)

    def state(self, inside: _Inside) -> tuple[Tensor, Tensor]:
        """After the last step: inputs of the convolution (S, W - 1, E), state of the scan."""
        layout, count = self.layout, len(self.convolution[0]) - 1
        steps = torch.arange(layout.steps - count, layout.steps)
        sequences = layout.first_row + torch.arange(layout.sequences) * layout.sequence_stride
        rows = sequences[:, None] + steps.clamp_min(0) * layout.step_stride
        past = inside.main_and_gate[rows, : self.inner].float() * (steps >= 0)[:, None]
        return past, inside.borders[:, -1, : self.states, : self.inner].mT

    def backward(
        self, normed: Tensor, given: Tensor, inside: _Inside
    ) -> tuple[Tensor, list[Tensor]]:
        """The gradients of main_and_gate (rows, 2 E) and of the weights, in their order."""
        from mbs_cli.models.kernels.convolution import convolve_backward

        main_and_gate, main, projected, _ = inside
        dstep, dstep_bias, dA, dskip, dconvolution, dconvolution_bias = (
            weight.new_empty(self.layout.sequences, *weight.shape)
            for weight in (*self.dynamics, *self.convolution)
        )
        y, dmain = torch.empty_like(main), torch.empty_like(main)
        dmain_and_gate, dprojected = torch.empty_like(main_and_gate), torch.empty_like(projected)
        gated_scan_backward(
            *(self.layout, main_and_gate, main, projected, *self.dynamics, inside.borders),
            *(given @ self.out, y, dmain_and_gate, dmain, dprojected),
            *(dstep, dstep_bias, dA, dskip),
        )
        more = dprojected @ self.projection
        self._run(
            *(convolve_backward, main_and_gate, *self.convolution, dmain, more),
            *(dmain_and_gate, dconvolution, dconvolution_bias),
        )
        return dmain_and_gate, [
            (dmain_and_gate.mT @ normed).float(),
            *(dconvolution.sum(0), dconvolution_bias.sum(0)),
            (dprojected.mT @ main).float(),
            *(dstep.sum(0).mT, dstep_bias.sum(0)),
            *(dA.sum(0)[: self.states, : self.inner].mT, dskip.sum(0)),
            (given.mT @ y).float(),
        ]

    def _run(self, kernel: Any, *inputs: Any) -> None:
        run_rows(kernel, self.layout.sequences, self.layout.places, *inputs)


def _padded_rate(A: Tensor) -> Tensor:
    """A (E, N) as the kernels take it: (N, E) in binary units, both padded with zeros."""
    from mbs_cli.models.kernels.lanes import LANES
    from mbs_cli.models.kernels.scan_lanes import STATES

    padding = (0, -A.shape[0] % LANES, 0, -A.shape[1] % STATES)
    return F.pad(A.mT * math.log2(math.e), padding).contiguous()
