"""The layers of the encoder as whole functions with gradients of their own, for training on a CPU.

Autograd would keep every intermediate value of a layer and run through memory for each small
operation. Here torch does the matrix products and fused kernels do what lies between them, in the
dtype of autocast; kept are a layer's input, what the kernels cannot cheaply compute again, and the
states of the scan at the borders of its chunks. `MambaLayer` and `BandMixer` are the same in plain
torch, for other devices, and what these are tested against.

Letters: D features, E inner features, N states, R rank of the step sizes, W taps, K bands, H
hidden bands, C columns (frames times features).
"""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mbs_cli.models.kernels import CHUNK
from mbs_cli.models.kernels.launch import run_shared
from mbs_cli.models.layout import Layout

_WEIGHTS = 9  # of a direction: in, convolution (2), x, step sizes (2), A, skip, out


def trains_fused(x: Tensor) -> bool:
    """Whether gradients of what is computed from x may come from here: CPU, float32, eager."""
    return (
        torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and _product_dtype() in {torch.float32, torch.bfloat16}
        and not torch.compiler.is_compiling()
    )


def _product_dtype() -> torch.dtype:
    enabled = torch.is_autocast_enabled("cpu")
    return torch.get_autocast_dtype("cpu") if enabled else torch.float32


def mamba_layer(
    x: Tensor, layout: Layout, norm: tuple[Tensor, Tensor], bias: Tensor, *directions: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """X (rows, D) + bias (D,) + Mamba of LayerNorm(x), once for every direction.

    Also, without gradients, the state after the last step of the first one: the last inputs of the
    convolution (S, W - 1, E) and the state of the scan (S, E, N).

    norm: gain and shift (D,). A direction: weights (2 E, D) of the input projection, (W, E) and
    (E,) of the convolution, (R + 2 N, E) of what the scan is told, (E, R) and (E,) of the step
    sizes, A (E, N), skip (E,), and (D, E) of the output projection. The second one goes backwards.
    """
    weights = [weight for direction in directions for weight in direction]
    y, past, final = _MambaLayer.apply(x, layout, *norm, bias, *weights)  # type: ignore[no-untyped-call]
    return y, past, final


def band_mixer(
    x: Tensor, norm: tuple[Tensor, Tensor], expand: tuple[Tensor, Tensor], reduce: Any
) -> Tensor:
    """X + reduce(GELU(expand(LayerNorm(x)))) of x (K, ..., D).

    norm: gain and shift (D,); expand: weight (H, K) and bias (H,); reduce: (K, H) and (K,).
    """
    y: Tensor = _BandMixer.apply(x, *norm, *expand, *reduce)  # type: ignore[no-untyped-call]
    return y


class _MambaLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, layout: Layout, gain: Tensor, shift: Tensor, bias: Tensor, *weights: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, dtype = x.contiguous(), _product_dtype()
        normed = _normalise(x, gain, shift, dtype)
        change: Tensor | None = None
        kept: list[Tensor] = []
        states: list[Tensor] = []
        ways = [layout, layout.reversed()]
        for way, direction in zip(ways, _by_direction(weights), strict=False):
            inner = _Direction(way, direction, dtype)
            y = inner.forward(normed)
            out = direction[-1].to(dtype).mT
            change = y @ out if change is None else change.addmm_(y, out)
            kept += inner.kept()
            states += inner.last_inputs(), inner.last_states()
        ctx.layout, ctx.dtype = layout, dtype
        ctx.save_for_backward(x, gain, shift, *weights, *kept)
        ctx.mark_non_differentiable(*states[:2])
        ctx.set_materialize_grads(False)
        assert change is not None
        return _add(x, change, bias[None]), states[0], states[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: None) -> tuple[Any, ...]:
        x, gain, shift, *rest = ctx.saved_tensors
        directions = _by_direction(rest[: len(rest) * _WEIGHTS // (_WEIGHTS + _Direction.KEPT)])
        kept = rest[_WEIGHTS * len(directions) :]
        dy = dy.contiguous()
        given = dy.to(ctx.dtype)
        normed = _normalise(x, gain, shift, ctx.dtype)
        dnormed: Tensor | None = None
        gradients: list[Tensor] = []
        ways = [ctx.layout, ctx.layout.reversed()]
        for number, direction in enumerate(directions):
            inner = _Direction(ways[number], direction, ctx.dtype)
            inner.restore(kept[_Direction.KEPT * number : _Direction.KEPT * (number + 1)])
            dmain_and_gate, found = inner.backward(normed, given)
            weight = direction[0].to(ctx.dtype)
            if dnormed is None:
                dnormed = dmain_and_gate @ weight
            else:
                dnormed.addmm_(dmain_and_gate, weight)
            gradients += found
        assert dnormed is not None
        dx, dgain, dshift = _normalise_backward(x, gain, dnormed, dy)
        return dx, None, dgain, dshift, dy.sum(0), *gradients


def _by_direction(weights: Any) -> list[tuple[Tensor, ...]]:
    return [tuple(weights[i : i + _WEIGHTS]) for i in range(0, len(weights), _WEIGHTS)]


class _Direction:
    """One direction of a Mamba block between its norm and its output projection."""

    KEPT = 4

    def __init__(self, layout: Layout, weights: tuple[Tensor, ...], dtype: torch.dtype) -> None:
        self.layout, self.dtype = layout, dtype
        in_weight, self.conv_weight, self.conv_bias, x_weight, *dynamics, out_weight = weights
        self.in_weight, self.x_weight, self.out_weight = (
            weight.to(dtype) for weight in (in_weight, x_weight, out_weight)
        )
        step_weight, step_bias, A, skip = dynamics
        self.shape = A.shape
        self.dynamics = (step_weight.mT.contiguous(), step_bias, _padded_rate(A), skip)

    def forward(self, normed: Tensor) -> Tensor:
        """The gated output of the scan (rows, E)."""
        from mbs_cli.models.kernels.mamba_training import convolve

        self.main_and_gate = normed @ self.in_weight.mT
        inner = self.main_and_gate.shape[1] // 2
        self.main = normed.new_empty(len(normed), inner)
        self._run(convolve, self.main_and_gate, self.conv_weight, self.conv_bias, self.main)
        self.projected = self.main @ self.x_weight.mT
        y: Tensor
        y, self.borders = torch.ops.mbs.gated_scan(*self._scanned(), astuple(self.layout))
        return y

    def last_states(self) -> Tensor:
        """Of the scan (S, E, N)."""
        features, states = self.shape
        return self.borders[:, -1, :states, :features].mT

    def last_inputs(self) -> Tensor:
        """Those of the convolution that a next step would need (S, W - 1, E), zeros before all."""
        layout, count = self.layout, len(self.conv_weight) - 1
        steps = torch.arange(layout.steps - count, layout.steps)
        sequences = layout.first_row + torch.arange(layout.sequences) * layout.sequence_stride
        rows = sequences[:, None] + steps.clamp_min(0) * layout.step_stride
        inputs = self.main_and_gate[rows, : self.main.shape[1]]
        return inputs.float() * (steps >= 0)[:, None]

    def _scanned(self) -> tuple[Tensor, ...]:
        return self.main_and_gate, self.main, self.projected, *self.dynamics

    def kept(self) -> list[Tensor]:
        """What `backward` needs of `forward`."""
        return [self.main_and_gate, self.main, self.projected, self.borders]

    def restore(self, kept: list[Tensor]) -> None:
        """Take over what `forward` kept."""
        self.main_and_gate, self.main, self.projected, self.borders = kept

    def backward(self, normed: Tensor, given: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The gradients of main_and_gate (rows, 2 E) and of the weights."""
        from mbs_cli.models.kernels.mamba_training import convolve_backward, gated_scan_backward

        sequences = self.layout.sequences
        by_sequence = [
            weight.new_empty(sequences, *weight.shape)
            for weight in (*self.dynamics, self.conv_weight, self.conv_bias)
        ]
        y, dmain = torch.empty_like(self.main), torch.empty_like(self.main)
        dmain_and_gate = torch.empty_like(self.main_and_gate)
        dprojected = torch.empty_like(self.projected)
        dy = given @ self.out_weight
        outputs = (y, dmain_and_gate, dmain, dprojected, *by_sequence[:4])
        self._run(gated_scan_backward, *self._scanned(), self.borders, dy, *outputs)
        more = dprojected @ self.x_weight
        convolution = (self.main_and_gate, self.conv_weight, self.conv_bias)
        self._run(
            convolve_backward, *convolution, dmain, more, dmain_and_gate, *by_sequence[4:]
        )
        dstep_weight, dstep_bias, dA, dskip, dconv_weight, dconv_bias = (
            parts.sum(0) for parts in by_sequence
        )
        features, states = self.shape
        return dmain_and_gate, [
            (dmain_and_gate.mT @ normed).float(),
            *(dconv_weight, dconv_bias),
            (dprojected.mT @ self.main).float(),
            *(dstep_weight.mT, dstep_bias, dA[:states, :features].mT, dskip),
            (given.mT @ y).float(),
        ]

    def _run(self, kernel: Any, *inputs: Any) -> None:
        run_shared(kernel, self.layout.sequences, self.layout.places, *map(_bits, inputs))


def _gated_scan(*arguments: Any) -> tuple[Tensor, Tensor]:
    """The kernel as an operator of torch, so that profiling sees the scan and what it keeps."""
    from mbs_cli.models.kernels.mamba_training import gated_scan

    *inputs, places = arguments
    layout = Layout(*places)
    _, main, *_, rate, _ = inputs
    y = torch.empty_like(main)
    chunks = -(-layout.steps // CHUNK)
    borders = rate.new_empty(layout.sequences, 1 + chunks, *rate.shape)
    run_shared(gated_scan, layout.sequences, layout.places, *map(_bits, (*inputs, y, borders)))
    return y, borders


_library = torch.library.Library("mbs", "FRAGMENT")
_library.define(
    "gated_scan(Tensor main_and_gate, Tensor main, Tensor projected, Tensor step_weight,"
    " Tensor step_bias, Tensor rate, Tensor skip, int[] layout) -> (Tensor y, Tensor borders)"
)
_library.impl("gated_scan", _gated_scan, "CPU")


class _BandMixer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        shift: Tensor,
        expand_weight: Tensor,
        expand_bias: Tensor,
        reduce_weight: Tensor,
        reduce_bias: Tensor,
    ) -> Tensor:
        from mbs_cli.models.kernels.rows_training import gelu_rows

        x, dtype = x.contiguous(), _product_dtype()
        normed = _normalise(x.view(-1, x.shape[-1]), gain, shift, dtype).view(len(x), -1)
        before = expand_weight.to(dtype) @ normed
        hidden = torch.empty_like(before)
        run_shared(gelu_rows, len(before), _bits(before), expand_bias, _bits(hidden))
        change = reduce_weight.to(dtype) @ hidden
        ctx.dtype = dtype
        ctx.save_for_backward(x, gain, shift, expand_weight, expand_bias, reduce_weight, before)
        return _add(x.view(len(x), -1), change, reduce_bias[:, None]).view_as(x)

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
        inputs = (before, expand_bias, dhidden, hidden, dexpand_bias)
        run_shared(gelu_rows_backward, len(before), *map(_bits, inputs))
        dreduce_weight = (given @ hidden.mT).float()
        normed = _normalise(rows, gain, shift, dtype).view(len(x), -1)
        dexpand_weight = (dhidden @ normed.mT).float()
        dnormed = (expand_weight.to(dtype).mT @ dhidden).view_as(rows)
        dx, dgain, dshift = _normalise_backward(rows, gain, dnormed, dy.view_as(rows))
        weights = (dexpand_weight, dexpand_bias, dreduce_weight, dy.flatten(1).sum(1))
        return dx.view_as(x), dgain, dshift, *weights


def _padded_rate(A: Tensor) -> Tensor:
    """A (E, N) as the kernels take it: (N, E) in binary units, both padded with zeros."""
    from mbs_cli.models.kernels.mamba_training import LANES, STATES

    padding = (0, -A.shape[0] % LANES, 0, -A.shape[1] % STATES)
    return F.pad(A.mT * math.log2(math.e), padding).contiguous()


def _bits(value: Any) -> Any:
    """Bfloat16 as numpy can hold it."""
    is_bfloat16 = isinstance(value, Tensor) and value.dtype == torch.bfloat16
    return value.view(torch.int16) if is_bfloat16 else value


def _normalise(x: Tensor, gain: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    from mbs_cli.models.kernels.rows_training import normalise_rows

    y = torch.empty_like(x, dtype=dtype)
    run_shared(normalise_rows, len(x), x, gain, shift, _bits(y))
    return y


def _normalise_backward(
    x: Tensor, gain: Tensor, dy: Tensor, residual: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient of x, added to that of its residual connection, and those of gain and shift."""
    from mbs_cli.models.kernels.rows_training import BLOCK, normalise_rows_backward

    blocks = -(-len(x) // BLOCK)
    dgain, dshift = x.new_empty(2, blocks, x.shape[1])
    dx = torch.empty_like(x)
    run_shared(normalise_rows_backward, blocks, x, gain, _bits(dy), residual, dx, dgain, dshift)
    return dx, dgain.sum(0), dshift.sum(0)


def _add(x: Tensor, change: Tensor, bias: Tensor) -> Tensor:
    from mbs_cli.models.kernels.rows_training import add_rows

    y = torch.empty_like(x)
    run_shared(add_rows, len(x), x, _bits(change), bias, y)
    return y
