"""The Mamba block (Gu & Dao, arXiv 2312.00752, section 3.4) over sequences of any length.

Letters: S sequences, L steps, D features, E = expand * D inner features, N states per feature.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mbs_cli.models.convolution import causal_conv_silu
from mbs_cli.models.gated_scan import gated_scan
from mbs_cli.models.kernels.launch import runs_fused
from mbs_cli.models.linear import Linear, linear
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
        self.in_proj = Linear(features, 2 * inner, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(CONV_WIDTH, inner))
        self.conv_bias = nn.Parameter(torch.zeros(inner))
        self.x_proj = Linear(inner, step_rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(step_rank, inner)
        self.A_log = nn.Parameter(torch.empty(inner, states))
        self.D = nn.Parameter(torch.empty(inner))
        self.out_proj = Linear(inner, features, bias=False)
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

    def forward(
        self, x: Tensor, state: MambaState | None = None, out_weight: Tensor | None = None
    ) -> tuple[Tensor, MambaState]:
        """Outputs and the state after the last step; `state` None starts from silence.

        `out_weight` (D, E) goes in the place of the output projection's.
        """
        past, scan_state = (None, None) if state is None else state
        main_and_gate = self.in_proj(x)
        raw = main_and_gate[..., : self.D.shape[0]]
        if past is None:
            past = raw.new_zeros(raw.shape[0], CONV_WIDTH - 1, raw.shape[2])
        main = causal_conv_silu(main_and_gate, self.conv_weight, self.conv_bias, past)
        past = torch.cat([past, raw[:, -(CONV_WIDTH - 1) :]], dim=1)[:, -(CONV_WIDTH - 1) :]
        A = -torch.exp(self.A_log.float())
        step = (self.dt_proj.weight, self.dt_proj.bias)
        y, scan_state = gated_scan(
            main, self.x_proj(main), main_and_gate, *step, A, self.D, scan_state
        )
        y = self.out_proj(y) if out_weight is None else linear(y, out_weight)
        return y, (past, scan_state)


class MambaLayer(nn.Module):
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

    def forward(self, x: Tensor, state: MambaState | None = None) -> tuple[Tensor, MambaState]:
        """Outputs and the state of the forward direction after the last step."""
        if self.backward_mamba is not None and runs_fused(x):
            steps = x.shape[1]
            return self.look_ahead(x, state, steps, Window(steps, steps, steps))
        normed = self.norm(x)
        if self.backward_mamba is None or self.merge is None:
            y, state = self.forward_mamba(normed, state)
            return x + y, state
        y, state = self.forward_mamba(normed, state)
        reverse, _ = self.backward_mamba(normed.flip(1))
        return x + self.merge(torch.cat([y, reverse.flip(1)], dim=-1)), state

    def look_ahead(
        self, x: Tensor, state: MambaState | None, shown: int, window: Window
    ) -> tuple[Tensor, MambaState]:
        """Both directions piece by piece, for inference: outputs (S, `shown`, D) of x (S, L, D) and
        the state of the forward direction after the kept steps of the window.
        """
        assert self.backward_mamba is not None
        assert self.merge is not None
        # Merge and output projections follow each other: one product does for both.
        ahead, back = self.merge.weight.chunk(2, dim=1)
        ahead = ahead @ self.forward_mamba.out_proj.weight
        back = back @ self.backward_mamba.out_proj.weight
        bias = self.merge.bias
        y = x.new_empty(x.shape[0], shown, x.shape[2])

        def advance(piece: slice, earlier: MambaState | None) -> MambaState:
            after: MambaState
            part, after = self.forward_mamba(self.norm(x[:, piece]), earlier, ahead)
            torch.add(x[:, piece], part.add_(bias), out=y[:, piece])
            return after

        state = window.carry(shown, state, advance)
        later: MambaState | None = None
        for piece in reversed(window.pieces(x.shape[1])):
            part, later = self.backward_mamba(self.norm(x[:, piece]).flip(1), later, back)
            if piece.stop <= shown:
                y[:, piece] += part.flip(1)
        return y, state
