"""A model grown from another starts as that other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mbs_cli.models.config import PRESETS, BandLayer, MbsNetConfig, TimeLayer
from mbs_cli.models.growth import take_over
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.registry import build_model

CAUSAL = MbsNetConfig(features=16, layers=2, states=3, decoder_hidden=16, decoder="magnitude")
BOTH_WAYS = replace(CAUSAL, time_layer="bidirectional-mamba")


def make(config: MbsNetConfig) -> MbsNet:
    torch.manual_seed(0)
    model = MbsNet(config)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("has_gradients", [True, False])
def test_a_new_direction_of_time_starts_silent(has_gradients: bool) -> None:
    source, grown = make(CAUSAL), make(BOTH_WAYS)
    assert take_over(grown, source) == len(source.state_dict())
    spectrum = torch.randn(2, 257, 40, 2)
    with torch.set_grad_enabled(has_gradients):
        assert torch.equal(grown(spectrum), source(spectrum))


@pytest.mark.parametrize("band_layer", ["mlp", "bidirectional-mamba"])
@pytest.mark.parametrize("time_layer", ["mamba", "bidirectional-mamba", "lstm"])
def test_new_layers_start_silent(time_layer: TimeLayer, band_layer: BandLayer) -> None:
    config = replace(CAUSAL, time_layer=time_layer, band_layer=band_layer)
    source, grown = make(config), make(replace(config, layers=4))
    assert take_over(grown, source) == len(source.state_dict())
    spectrum = torch.randn(2, 257, 40, 2)
    assert torch.equal(grown(spectrum), source(spectrum))


def test_the_new_direction_learns() -> None:
    grown = make(BOTH_WAYS)
    take_over(grown, make(CAUSAL))
    before = grown.state_dict()
    before = {name: value.clone() for name, value in before.items() if "backward_mamba" in name}
    optimizer = torch.optim.SGD(grown.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        grown(torch.randn(1, 257, 20, 2)).square().mean().backward()
        optimizer.step()
    changed = [name for name in before if not torch.equal(before[name], grown.state_dict()[name])]
    assert changed


def test_a_model_of_the_same_form_is_taken_over_whole() -> None:
    source, other = make(BOTH_WAYS), build_model(BOTH_WAYS)
    assert take_over(other, source) == len(source.state_dict())
    for name, value in source.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_what_only_the_new_model_has_stays_as_it_was() -> None:
    source, grown = make(CAUSAL), make(replace(CAUSAL, decoder="magnitude-phase"))
    before = {name: value.clone() for name, value in grown.state_dict().items()}
    take_over(grown, source)
    known = source.state_dict()
    for name, value in grown.state_dict().items():
        assert torch.equal(value, known.get(name, before[name])), name


def test_the_bidirectional_preset_grows_from_mbs_net() -> None:
    sizes = {"features": 16, "layers": 1, "states": 4, "decoder_hidden": 8}
    source, grown = (
        replace(PRESETS[name], **sizes) for name in ("mbs-net", "mbs-net-bidirectional")
    )
    grown_model: nn.Module = build_model(grown)
    source_names = build_model(source).state_dict().keys()
    taken = take_over(grown_model, build_model(source))
    assert taken == len([name for name in source_names if not name.startswith("phase.")])


def test_two_models_with_nothing_in_common() -> None:
    narrow, bsrnn = make(replace(CAUSAL, features=12)), build_model(PRESETS["bsrnn"])
    before = [value.clone() for value in narrow.state_dict().values()]
    assert take_over(narrow, bsrnn) == 0
    after = narrow.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
