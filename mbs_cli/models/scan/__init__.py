"""The selective scan of a Mamba block (Gu & Dao, arXiv 2312.00752): one operation, several ways.

    h_t = exp(dt_t * A) o h_{t-1} + (dt_t * x_t) B_t        y_t = <C_t, h_t> + D o x_t

Letters: S sequences, L steps, D features, N states per feature.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Literal, get_args

import torch
from torch import Tensor

from mbs_cli.errors import UsageError
from mbs_cli.models.kernels.launch import kernels_need_compiling
from mbs_cli.models.scan import torch_operator as _torch_operator  # noqa: F401 - registers it
from mbs_cli.models.scan.reference import reference_scan

__all__ = ["Implementation", "default_implementation", "kernels_need_compiling", "selective_scan"]

Implementation = Literal["reference", "chunked", "cpu", "cuda"]

_HAS_TRITON = find_spec("triton") is not None


def default_implementation(device: torch.device) -> Implementation:
    """The fastest implementation on that device."""
    if device.type == "cpu":
        return "cpu"
    return "cuda" if device.type == "cuda" and _HAS_TRITON else "chunked"


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
    State, decays and sums are float32 whatever comes in and whatever autocast says (`chunked`:
    float64 if x is, `reference`: the dtype given). `implementation` forces one; by default the
    device chooses. Raises UsageError for one that does not exist or cannot run here.
    """
    chosen = implementation or default_implementation(x.device)
    _check(chosen)
    if chosen == "reference":
        with torch.autocast(x.device.type, enabled=False):
            return reference_scan(x, dt, A, B, C, D, initial_state)
    if "torch.utils.flop_counter" in sys.modules:  # someone may be counting
        from mbs_cli.models.scan import flops  # noqa: F401 - registers the formulas
    if initial_state is None:
        initial_state = x.new_zeros((x.shape[0], *A.shape), dtype=torch.float32)
    inputs = (x, dt, A.mT, B, C, D, initial_state.mT)
    keep_borders = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    y, final, _ = torch.ops.mbs.selective_scan(*inputs, chosen, keep_borders)
    return y, final.mT


def _check(implementation: str) -> None:
    if implementation not in get_args(Implementation):
        expected = ", ".join(get_args(Implementation))
        raise UsageError(f"no scan implementation {implementation!r}: expected one of {expected}")
    if implementation == "cuda" and not _HAS_TRITON:
        raise UsageError("the scan implementation 'cuda' needs triton", "use 'chunked' without it")
