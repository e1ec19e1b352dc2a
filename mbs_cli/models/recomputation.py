"""Trading time for memory: layers whose insides are computed again in the backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def run_layer(layer: nn.Module, *inputs: Any, recompute: bool) -> Any:
    """The outputs of `layer(*inputs)`; gradients are the same either way.

    With `recompute` only the inputs are kept for the backward pass, which runs the layer once
    more (activation checkpointing, Chen et al., arXiv 1604.06174). Without gradients nothing is
    kept anyway. Layers must not draw random numbers: their generator is not rewound.
    """
    if not (recompute and torch.is_grad_enabled()):
        return layer(*inputs)
    from torch.utils.checkpoint import checkpoint  # its first call imports torch's compiler

    return checkpoint(layer, *inputs, use_reentrant=False, preserve_rng_state=False)
