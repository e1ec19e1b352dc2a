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
        if isinstance(layer, Encoder):
            inside = f"{name}."
            own_names = (key.removeprefix(inside) for key in common if key.startswith(inside))
            _silence_new_layers(layer, set(own_names))
    return len(common)


@torch.no_grad()
def _silence_new_direction(merge: nn.Linear) -> None:
    merge.weight.zero_()
    merge.weight[:, : merge.out_features] = torch.eye(merge.out_features)
    merge.bias.zero_()


@torch.no_grad()
def _silence_new_layers(encoder: Encoder, known: Collection[str]) -> None:
    """Nothing of an encoder that is new as a whole: there is no other way through it."""
    if not known:
        return
    for kind in ("time_layers", "band_layers"):
        for place, layer in enumerate(getattr(encoder, kind)):
            if not any(name.startswith(f"{kind}.{place}.") for name in known):
                for parameter in layer.way_out.parameters():
                    parameter.zero_()
