"""Matrix products with what follows them: oneDNN's kernels on the CPU, plain torch elsewhere.

torch gives float32 products to another library, which on some CPUs uses half of the vector width.
oneDNN reads weights as they lie, so nothing is prepared or kept.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.models.kernels.launch import runs_fused

Activation = Literal["none", "sigmoid", "tanh"]

_PLAIN = {"none": lambda x: x, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)
_LEAST_PRODUCTS = 1_000_000  # a smaller product costs less than oneDNN's call


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = "none"
) -> Tensor:
    """activation(x weight^T + bias) of x (..., I), weight (O, I) and bias (O,): (..., O)."""
    if _by_onednn(x, x.numel() * weight.shape[0]):
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "")
        return y
    return _PLAIN[activation](F.linear(x, weight, bias))


def _by_onednn(x: Tensor, products: int) -> bool:
    return _HAS_ONEDNN and products >= _LEAST_PRODUCTS and runs_fused(x)


class Linear(nn.Linear):
    """torch's Linear, by `linear`."""

    def forward(self, x: Tensor, activation: Activation = "none") -> Tensor:
        """(..., I) -> (..., O)."""
        return linear(x, self.weight, self.bias, activation)
