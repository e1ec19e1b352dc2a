"""From a config to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mbs_cli.models.config import BsrnnConfig, MbsNetConfig, ModelConfig
from mbs_cli.models.mbsnet import MbsNet

if TYPE_CHECKING:
    from mbs_cli.models.bsrnn import Bsrnn


def build_model(config: ModelConfig, checkpoint_activations: bool = False) -> MbsNet | Bsrnn:
    """A freshly initialised model of that config, on the CPU, in training mode.

    With `checkpoint_activations` training keeps only the input of every encoder layer and computes
    the rest again in the backward pass.
    """
    if isinstance(config, BsrnnConfig):
        from mbs_cli.models.bsrnn import Bsrnn

        return Bsrnn(config, checkpoint_activations)
    assert isinstance(config, MbsNetConfig)
    return MbsNet(config, checkpoint_activations)
