"""The scan with its step sizes and its gate, for training on a CPU, as `mbs::gated_scan` of torch.

An operator, so that the FLOP counter and `mbs profile` see the scan and what is kept of it.
Gradients are the caller's to ask for: `gated_scan_backward`. Arguments are those of the kernels,
`mbs_cli.models.kernels.gated_scan`, and the fields of a `Layout`.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import torch
from torch import Tensor

from mbs_cli.models.kernels import CHUNK
from mbs_cli.models.layout import Layout
from mbs_cli.models.row_training import run_rows


def gated_scan(layout: Layout, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Y (rows, E) and the states at the borders of chunks (S, 1 + chunks, N, E)."""
    y: Tensor
    y, borders = torch.ops.mbs.gated_scan(*inputs, astuple(layout))
    return y, borders


def gated_scan_backward(layout: Layout, *inputs_and_outputs: Tensor) -> None:
    """Fill the outputs of the kernel."""
    from mbs_cli.models.kernels import gated_scan as kernels

    run_rows(kernels.gated_scan_backward, layout.sequences, layout.places, *inputs_and_outputs)


def _gated_scan(*arguments: Any) -> tuple[Tensor, Tensor]:
    from mbs_cli.models.kernels import gated_scan as kernels

    *inputs, fields = arguments
    layout = Layout(*fields)
    _, main, *_, rate, _ = inputs
    y = torch.empty_like(main)
    chunks = -(-layout.steps // CHUNK)
    borders = rate.new_empty(layout.sequences, 1 + chunks, *rate.shape)
    run_rows(kernels.gated_scan, layout.sequences, layout.places, *inputs, y, borders)
    return y, borders


_library = torch.library.Library("mbs", "FRAGMENT")
_library.define(
    "gated_scan(Tensor main_and_gate, Tensor main, Tensor projected, Tensor step_weight,"
    " Tensor step_bias, Tensor rate, Tensor skip, int[] layout) -> (Tensor y, Tensor borders)"
)
_library.impl("gated_scan", _gated_scan, "CPU")
