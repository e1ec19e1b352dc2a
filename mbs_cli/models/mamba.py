"""The Mamba block (Gu & Dao, arXiv 2312.00752, section 3.4) over sequences of any length.

Letters: S sequences, L steps, D features, E = expand * D inner features, N states per feature.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.models.convolution import causal_conv_silu
from mbs_cli.models.gated_scan import gated_scan
from mbs_cli.models.kernels.launch import run_shared, runs_fused
from mbs_cli.models.layout import Layout
from mbs_cli.models.mamba_training import DirectionWeights, mamba_layer
from mbs_cli.models.packing import (
    KernelInput,
    PackedModule,
    as_array,
    pack_columns,
    pack_linear,
    pack_weight,
)
from mbs_cli.models.row_training import trains_fused
from mbs_cli.models.window import Window

CONV_WIDTH = 4
STEP_MIN, STEP_MAX = 0.001, 0.1  # dt at the start of training, log-uniform: 1 to 100 frames or more

# What a block carries from one call to the next: the last inputs of its convolution
# (S, CONV_WIDTH - 1, E) and the state of its scan (S, E, N).
MambaState = tuple[Tensor, Tensor]


class Mamba(nn.Module):
    """One direction of a Mamba block, without norm and residual: (S, L, D) -> (S, L, D)."""

    def __init__(self, features: int, expand: int, states: int, step_rank: int) -> None:
        super().__init__()
        inner = expand * features
        self.states, self.step_rank = states, step_rank
        self.in_proj = nn.Linear(features, 2 * inner, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(CONV_WIDTH, inner))
        self.conv_bias = nn.Parameter(torch.zeros(inner))
        self.x_proj = nn.Linear(inner, step_rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(step_rank, inner)
        self.A_log = nn.Parameter(torch.empty(inner, states))
        self.D = nn.Parameter(torch.empty(inner))
        self.out_proj = nn.Linear(inner, features, bias=False)
        self.reset_dynamics()

    def reset_dynamics(self) -> None:
        """Start the convolution, step sizes and decays where Mamba starts them.

        Runs last and is never overwritten: a general initialisation of the Linears would wipe the
        bias of dt_proj, and the slowest state would forget within a frame.
        """
        inner = self.D.shape[0]
        bound = 1 / math.sqrt(CONV_WIDTH)
        nn.init.uniform_(self.conv_weight, -bound, bound)
        nn.init.uniform_(self.dt_proj.weight, -(self.step_rank**-0.5), self.step_rank**-0.5)
        with torch.no_grad():
            step = STEP_MIN * (STEP_MAX / STEP_MIN) ** torch.rand(inner)
            self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))  # inverse softplus
            self.A_log.copy_(torch.arange(1, self.states + 1).log().expand(inner, -1))
            self.D.fill_(1.0)

    def forward(self, x: Tensor, state: MambaState | None = None) -> tuple[Tensor, MambaState]:
        """Outputs and the state after the last step; `state` None starts from silence."""
        past, scan_state = (None, None) if state is None else state
        main_and_gate = self.in_proj(x)
        raw = main_and_gate[..., : self.D.shape[0]]
        if past is None:
            past = raw.new_zeros(raw.shape[0], CONV_WIDTH - 1, raw.shape[2])
        main = causal_conv_silu(raw, self.conv_weight, self.conv_bias, past)
        past = torch.cat([past, raw[:, -(CONV_WIDTH - 1) :]], dim=1)[:, -(CONV_WIDTH - 1) :]
        A = -torch.exp(self.A_log.float())
        step = (self.dt_proj.weight, self.dt_proj.bias)
        y, scan_state = gated_scan(
            main, self.x_proj(main), main_and_gate, *step, A, self.D, scan_state
        )
        return self.out_proj(y), (past, scan_state)

    def weights(self, out_weight: Tensor) -> DirectionWeights:
        """As `mamba_training` takes them, with that output projection (D, E)."""
        return DirectionWeights(
            into=self.in_proj.weight,
            convolution=self.conv_weight,
            convolution_bias=self.conv_bias,
            projection=self.x_proj.weight,
            step=self.dt_proj.weight,
            step_bias=self.dt_proj.bias,
            A=-torch.exp(self.A_log),
            skip=self.D,
            out=out_weight,
        )

    def pack(
        self, out_weight: Tensor, out_bias: Tensor | None, dtype: torch.dtype
    ) -> tuple[KernelInput, ...]:
        """Projections, convolution and dynamics as `kernels.mamba_layer` takes them.

        out_weight (D, E) and out_bias (D,) go in the place of the output projection's.
        """
        from mbs_cli.models.kernels.scan_lanes import STATES

        halves = self.in_proj.weight.chunk(2)  # each padded by itself
        in_weight = np.concatenate([pack_weight(half.mT, dtype) for half in halves], axis=-1)
        more = (0, 0, 0, -self.states % STATES)
        step, B, C = self.x_proj.weight.split([self.step_rank, self.states, self.states])
        x_weight = torch.cat([step, F.pad(B, more), F.pad(C, more)])
        projections = (
            *(in_weight, np.zeros(in_weight.shape[-1], np.float32)),
            *pack_linear(x_weight, None, dtype),
            *pack_linear(out_weight, out_bias, dtype),
        )
        rate = F.pad(-torch.exp(self.A_log.mT) * math.log2(math.e), more)
        dynamics = (self.dt_proj.weight.mT, self.dt_proj.bias, rate, self.D)
        return (
            projections,
            tuple(map(pack_columns, (self.conv_weight, self.conv_bias))),
            tuple(map(pack_columns, dynamics)),
        )


class MambaLayer(PackedModule):
    """LayerNorm, Mamba in one or both directions, residual: (S, L, D) -> (S, L, D)."""

    def __init__(
        self, features: int, expand: int, states: int, step_rank: int, bidirectional: bool
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.forward_mamba = Mamba(features, expand, states, step_rank)
        self.backward_mamba: Mamba | None = None
        self.merge: nn.Linear | None = None
        if bidirectional:
            self.backward_mamba = Mamba(features, expand, states, step_rank)
            self.merge = nn.Linear(2 * features, features)

    @property
    def way_out(self) -> nn.Linear:
        """The last Linear: what comes out of it is added to the input."""
        return self.forward_mamba.out_proj if self.merge is None else self.merge

    def forward(self, x: Tensor, state: MambaState | None = None) -> tuple[Tensor, MambaState]:
        """Outputs and the state of the forward direction after the last step."""
        if runs_fused(x):
            sequences, steps, _ = x.shape
            return self.fused(x, Layout(sequences, steps, steps, 1), state)
        if state is None and trains_fused(x):
            sequences, steps, _ = x.shape
            return self.trained(x, Layout(sequences, steps, steps, 1))
        normed = self.norm(x)
        y, state = self.forward_mamba(normed, state)
        if self.backward_mamba is None or self.merge is None:
            return x + y, state
        reverse, _ = self.backward_mamba(normed.flip(1))
        return x + self.merge(torch.cat([y, reverse.flip(1)], dim=-1)), state

    def look_ahead(
        self, x: Tensor, state: MambaState | None, shown: int, window: Window
    ) -> tuple[Tensor, MambaState]:
        """Both directions, for inference: outputs (S, `shown`, D) of x (S, L, D) and the state of
        the forward direction after the kept steps of the window.
        """
        if runs_fused(x):
            return self._fused_look_ahead(x, state, shown, window.kept)
        assert self.backward_mamba is not None
        assert self.merge is not None
        normed = self.norm(x)
        y, after = self.forward_mamba(normed[:, : window.kept], state)
        if shown > window.kept:
            further, _ = self.forward_mamba(normed[:, window.kept : shown], after)
            y = torch.cat([y, further], dim=1)
        reverse, _ = self.backward_mamba(normed.flip(1))
        merged: Tensor = self.merge(torch.cat([y, reverse.flip(1)[:, :shown]], dim=-1))
        return x[:, :shown] + merged, after

    def _fused_look_ahead(
        self, x: Tensor, state: MambaState | None, shown: int, kept: int
    ) -> tuple[Tensor, MambaState]:
        ahead, back = self.packed()
        sequences, steps, _ = x.shape
        y = torch.zeros_like(x, memory_format=torch.contiguous_format)
        layout = Layout(sequences, steps, steps, 1)
        after = self._run_kernel(ahead, replace(layout, steps=kept), state, x, x, y)
        if shown > kept:
            further = replace(layout, steps=shown - kept, first_row=kept)
            self._run_kernel(ahead, further, after, x, x, y)
        self._run_kernel(back, layout.reversed(), None, x, y, y)
        return y[:, :shown], after

    def fused(
        self, x: Tensor, layout: Layout, state: MambaState | None = None
    ) -> tuple[Tensor, MambaState]:
        """As `forward`, of sequences that lie as told, by a fused kernel for each direction."""
        ahead, *back = self.packed()
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        state = self._run_kernel(ahead, layout, state, x, x, y)
        for weights in back:
            self._run_kernel(weights, layout.reversed(), None, x, y, y)
        return y, state

    def trained(self, x: Tensor, layout: Layout) -> tuple[Tensor, MambaState]:
        """As `forward` from silence, of sequences that lie as told, with gradients by kernels.

        No gradient flows through the state.
        """
        norm = (self.norm.weight, self.norm.bias)
        bias = x.new_zeros(x.shape[-1]) if self.merge is None else self.merge.bias
        with torch.autocast("cpu", enabled=False):
            directions = [mamba.weights(out) for mamba, out in self._directions()]
        rows = x.reshape(-1, x.shape[-1])
        y, past, final = mamba_layer(rows, layout, norm, bias, directions)
        return y.view_as(x), (past, final)

    def _directions(self) -> list[tuple[Mamba, Tensor]]:
        """Each direction, and the weight of its way out (D, E)."""
        if self.backward_mamba is None or self.merge is None:
            return [(self.forward_mamba, self.forward_mamba.out_proj.weight)]
        # Merge and output projections follow each other: one product does for both.
        ahead, back = self.merge.weight.chunk(2, dim=1)
        return [
            (self.forward_mamba, ahead @ self.forward_mamba.out_proj.weight),
            (self.backward_mamba, back @ self.backward_mamba.out_proj.weight),
        ]

    def pack(self) -> tuple[KernelInput, ...]:
        """The weights of each direction."""
        norm = (as_array(self.norm.weight), as_array(self.norm.bias))
        biases = (None if self.merge is None else self.merge.bias, None)
        return tuple(
            (norm, *mamba.pack(weight, bias, self.product_dtype))
            for (mamba, weight), bias in zip(self._directions(), biases, strict=False)
        )

    def _run_kernel(
        self,
        weights: KernelInput,
        layout: Layout,
        state: MambaState | None,
        x: Tensor,
        base: Tensor,
        y: Tensor,
    ) -> MambaState:
        """Fill y with base + one direction of the layer; the state after its last step."""
        from mbs_cli.models.kernels.mamba_layer import run_mamba_layer

        inner, states = self.forward_mamba.A_log.shape
        if state is None:
            past = x.new_zeros(layout.sequences, CONV_WIDTH - 1, inner)
            h = x.new_zeros(layout.sequences, states, inner)
        else:
            past, h = state[0].clone(), state[1].mT.contiguous().clone()
        x, base, y = (tensor.reshape(-1, tensor.shape[-1]) for tensor in (x, base, y))
        run_shared(run_mamba_layer, layout.sequences, x, layout.places, *weights, past, h, base, y)
        return past, h.mT


def has_scan(model: nn.Module) -> bool:
    """Whether any part of the model is a Mamba block."""
    return any(isinstance(module, Mamba) for module in model.modules())
