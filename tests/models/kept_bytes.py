"""What autograd keeps of a forward pass, counted."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def kept_in_autocast(model: nn.Module, forward: Callable[[], Tensor]) -> tuple[Tensor, int]:
    """What `forward` gives in bfloat16 autocast, and the bytes kept for its gradients.

    Distinct storages count once, the weights of the model not at all.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Tensor] = {}  # holding the tensors keeps addresses from being used twice

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16),
    ):
        y = forward()
    return y, sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
