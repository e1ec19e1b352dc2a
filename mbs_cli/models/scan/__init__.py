"""The selective scan of a Mamba block (Gu & Dao, arXiv 2312.00752): one operation, several ways.

    h_t = exp(dt_t * A) o h_{t-1} + (dt_t * x_t) B_t        y_t = <C_t, h_t> + D o x_t

Letters: S sequences, L steps, D features, N states per feature.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mbs_cli.errors import UsageError
from mbs_cli.models.kernels.launch import kernels_need_compiling
from mbs_cli.models.scan.reference import reference_scan

__all__ = ["Implementation", "default_implementation", "kernels_need_compiling", "selective_scan"]

Implementation = Literal["reference", "cpu"]


def default_implementation(device: torch.device) -> Implementation:
    """The fastest implementation on that device."""
    return "cpu" if device.type == "cpu" else "reference"


def selective_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    initial_state: Tensor | None = None,
    *,
    implementation: Implementation | None = None,
) -> tuple[Tensor, Tensor]:
    """Run the scan; differentiable in every tensor.

    x, dt (S, L, D) with dt > 0; A (D, N) negative; B, C (S, L, N); D (D,);
    initial_state (S, D, N), zeros if None. Returns y (S, L, D) and the final state (S, D, N).
    State, decays and sums are float32 whatever autocast says (`reference`: the dtype given).
    `implementation` forces one; by default the device chooses. Raises UsageError for a name that
    does not exist.
    """
    chosen = implementation or default_implementation(x.device)
    with torch.autocast(x.device.type, enabled=False):
        if chosen == "cpu":
            from mbs_cli.models.scan.cpu import cpu_scan

            return cpu_scan(x, dt, A, B, C, D, initial_state)
        if chosen == "reference":
            return reference_scan(x, dt, A, B, C, D, initial_state)
    raise UsageError(f"no scan implementation {chosen!r}: expected reference or cpu")
