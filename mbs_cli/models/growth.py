"""Starting a model from one with other switches: what both have is taken over.

What only the new model has keeps its initial values, but for a direction of time and for layers
that are new: their way out starts at zero, so that the model starts as the one it comes from (as
Net2Net, Chen et al., arXiv 1511.05641) and learns what they are good for.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from mbs_cli.models.encoder import Encoder
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
        if isinstance(layer, Encoder) and _has_part(common, name):
            _silence_new_layers(layer, name, common)
    return len(common)


def _has_part(names: Collection[str], module: str) -> bool:
    """Whether any of these tensors is inside that module."""
    return any(name.startswith(f"{module}.") for name in names)


@torch.no_grad()
def _silence_new_direction(merge: nn.Linear) -> None:
    merge.weight.zero_()
    merge.weight[:, : merge.out_features] = torch.eye(merge.out_features)
    merge.bias.zero_()


@torch.no_grad()
def _silence_new_layers(encoder: Encoder, name: str, known: Collection[str]) -> None:
    """Of an encoder of which some is known: if it were all new, nothing would come through."""
    for kind in ("time_layers", "band_layers"):
        for place, layer in enumerate(getattr(encoder, kind)):
            if not _has_part(known, f"{name}.{kind}.{place}"):
                for parameter in layer.way_out.parameters():
                    parameter.zero_()
