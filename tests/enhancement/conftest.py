"""A small model that looks both ways in time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mbs_cli.models.config import MbsNetConfig
from mbs_cli.models.registry import build_model


@pytest.fixture(scope="session")
def both_ways() -> nn.Module:
    torch.manual_seed(0)
    config = MbsNetConfig(
        features=16, layers=2, decoder_hidden=16, time_layer="bidirectional-mamba"
    )
    return build_model(config).eval()
