"""The short depthwise convolution of a Mamba block with its SiLU, causal in time.

Letters: S sequences, L steps, E features, W taps (the last one weighs the present).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_conv_silu(x: Tensor, weight: Tensor, bias: Tensor, past: Tensor) -> Tensor:
    """SiLU of the convolution of x (S, L, E) with weight (W, E) plus bias (E,): (S, L, E).

    past (S, W - 1, E) holds the steps before the first.
    """
    padded = torch.cat([past.to(x.dtype), x], dim=1)
    steps = x.shape[1]
    y = bias.to(x.dtype).expand_as(x)
    for tap, factor in enumerate(weight.to(x.dtype)):
        y = y + padded[:, tap : tap + steps] * factor
    return F.silu(y)
