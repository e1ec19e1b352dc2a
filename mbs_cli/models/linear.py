"""Linear layers with what follows them: oneDNN for inference on the CPU, plain torch elsewhere.

Where torch gives float32 products to MKL, oneDNN makes them more than twice as fast on AMD CPUs
with AVX-512, and applies the activation while a result is at hand. It reads weights as they lie,
so nothing is prepared or kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.models.kernels.launch import runs_fused

Activation = Literal["none", "sigmoid", "tanh"]

_PLAIN: dict[Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_MAY_WIN = (
    _ONEDNN is not None
    and torch.backends.mkldnn.is_available()
    and torch.backends.mkl.is_available()
)
_LEAST_PRODUCTS = 1_000_000  # a smaller product costs less than oneDNN's call


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = "none"
) -> Tensor:
    """activation(x weight^T + bias) of x (..., I), weight (O, I) and bias (O,): (..., O)."""
    if _MAY_WIN and x.numel() * weight.shape[0] >= _LEAST_PRODUCTS and runs_fused(x):
        y: Tensor = _ONEDNN(x, weight, bias, activation, [], "")
        return y
    return _PLAIN[activation](F.linear(x, weight, bias))


class Linear(nn.Linear):
    """torch's Linear, by `linear`."""

    def forward(self, x: Tensor, activation: Activation = "none") -> Tensor:
        """(..., I) -> (..., O)."""
        return linear(x, self.weight, self.bias, activation)
