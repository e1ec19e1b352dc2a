"""Starting a model from one with other switches: what both have is taken over.

What only the new model has keeps its initial values, but for a direction of time that is new: its
way out starts at zero, so that the model starts as the one it comes from (as Net2Net, Chen et al.,
arXiv 1511.05641) and learns what the new direction is good for.
"""

from __future__ import annotations

import torch
from torch import nn

from mbs_cli.models.mamba import MambaLayer


def take_over(model: nn.Module, source: nn.Module) -> int:
    """Copy every tensor of `source` that `model` has by the same name and shape; how many."""
    known = source.state_dict()
    own = model.state_dict()
    common = {
        name: known[name] for name in own if name in known and known[name].shape == own[name].shape
    }
    model.load_state_dict(common, strict=False)
    for name, layer in model.named_modules():
        is_known = f"{name}.forward_mamba.D" in common and f"{name}.merge.weight" not in common
        if isinstance(layer, MambaLayer) and layer.merge is not None and is_known:
            _silence_new_direction(layer.merge)
    return len(common)


@torch.no_grad()
def _silence_new_direction(merge: nn.Linear) -> None:
    merge.weight.zero_()
    merge.weight[:, : merge.out_features] = torch.eye(merge.out_features)
    merge.bias.zero_()
