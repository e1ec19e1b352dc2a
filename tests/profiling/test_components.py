"""A model by its parts: every parameter and multiply-add, and each only once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbs_cli.models.config import PRESETS
from mbs_cli.models.registry import build_model
from mbs_cli.profiling.components import checkpoint_bytes, component_tree
from mbs_cli.profiling.results import Component

BANDS, FRAMES, WIDEST = 24, 62.5, 57  # a second of audio
SPLIT_BANDS, SHORT_FRAMES = 31, 125  # of bsrnn


def part(tree: Component, path: str) -> Component:
    for name in path.split("."):
        tree = next(child for child in tree.children if child.name == name)
    return tree


@pytest.fixture(scope="module")
def mbs_net() -> Component:
    return component_tree(build_model(PRESETS["mbs-net"]))


@pytest.mark.parametrize("preset", PRESETS)
def test_parameters_are_those_of_the_model(preset: str) -> None:
    model = build_model(PRESETS[preset])
    tree = component_tree(model)
    assert tree.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert sum(child.parameters for child in tree.children) == tree.parameters
    assert sum(child.macs_per_second for child in tree.children) == pytest.approx(
        tree.macs_per_second, rel=1e-6
    )


def test_multiply_adds_of_mbs_net_equal_a_count_by_hand(mbs_net: Component) -> None:
    features, states, step_rank, hidden = 128, 12, 8, 240
    mamba = (
        features * 2 * features  # into main path and gate
        + 4 * features  # convolution of 4 taps
        + features * (step_rank + 2 * states)
        + step_rank * features
        + (7 * states + 3) * features // 2  # scan
        + features * features  # out
    )
    place = BANDS * FRAMES
    assert part(mbs_net, "encoder.time_layers").macs_per_second == 4 * place * mamba
    mixer = 2 * BANDS * 2 * BANDS * features * FRAMES
    assert part(mbs_net, "encoder.band_layers").macs_per_second == 4 * mixer
    for name, values in (("magnitude", 1), ("phase", 2)):
        decoder = features * hidden + hidden * values * WIDEST
        expected = place * (features * features + decoder)
        assert part(mbs_net, name).macs_per_second == expected
    level = 2.5 * 25 * 25  # the running level, in products of 25 frames
    split = place * 3 * WIDEST * features + level
    assert part(mbs_net, "band_split").macs_per_second == pytest.approx(split, abs=1)
    assert mbs_net.macs_per_second == pytest.approx(0.65e9, rel=0.1)


def test_lstms_count_by_the_products_with_their_weights() -> None:
    tree = component_tree(build_model(PRESETS["bsrnn"]))
    one_direction = 64 * 4 * 128 + 128 * 4 * 128
    layer = part(tree, "layers.0")
    assert part(layer, "time_lstm").macs_per_second == SPLIT_BANDS * SHORT_FRAMES * one_direction
    assert (
        part(layer, "band_lstm").macs_per_second == 2 * SPLIT_BANDS * SHORT_FRAMES * one_direction
    )
    assert tree.macs_per_second == pytest.approx(6.3e9, rel=0.05)


def test_size_on_disk_is_that_of_a_checkpoint(small_checkpoint: Path) -> None:
    model = build_model(PRESETS["mbs-net-small"])
    assert checkpoint_bytes(model, "mbs-net-small") == small_checkpoint.stat().st_size
