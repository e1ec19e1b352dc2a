"""Small models that look both ways in time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mbs_cli.models.config import MbsNetConfig
from mbs_cli.models.mamba import MambaLayer
from mbs_cli.models.registry import build_model

CONFIG = MbsNetConfig(features=16, layers=2, decoder_hidden=16, time_layer="bidirectional-mamba")


@pytest.fixture(scope="session")
def both_ways() -> nn.Module:
    torch.manual_seed(0)
    return build_model(CONFIG).eval()


@pytest.fixture(scope="session")
def long_memory() -> nn.Module:
    """One whose states decay slowly, above all those of the past, and weigh more."""
    torch.manual_seed(0)
    model = build_model(CONFIG).eval()
    for layer in model.modules():
        if isinstance(layer, MambaLayer):
            layer.forward_mamba.A_log.data -= 5.0
            layer.backward_mamba.A_log.data -= 2.0
            layer.merge.weight.data *= 4.0
    return model
