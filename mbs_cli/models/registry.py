"""From a config to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mbs_cli.models.config import BsrnnConfig, MbsNetConfig, ModelConfig
from mbs_cli.models.mbsnet import MbsNet

if TYPE_CHECKING:
    from mbs_cli.models.bsrnn import Bsrnn


def build_model(config: ModelConfig) -> MbsNet | Bsrnn:
    """A freshly initialised model of that config, on the CPU, in training mode."""
    if isinstance(config, BsrnnConfig):
        from mbs_cli.models.bsrnn import Bsrnn

        return Bsrnn(config)
    assert isinstance(config, MbsNetConfig)
    return MbsNet(config)
