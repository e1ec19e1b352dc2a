"""Inputs and outputs of the files: names and shapes. Imports nothing heavy.

Dimensions that differ from call to call have a name: `frames` of a call, `signals` side by side.
"""

from __future__ import annotations

from enum import StrEnum

from mbs_cli.audio.parameters import BINS
from mbs_cli.models.bands import BANDS
from mbs_cli.models.config import MbsNetConfig, ModelConfig

Shape = tuple[int | str, ...]

FRAMES, SIGNALS = "frames", "signals"
SPECTRUM, ESTIMATE = "spectrum", "estimate"
NEXT = "next_"  # begins the name of a state that comes out
LEVEL, PAST_FRAMES = "level", "past_frames"  # states
_SPECTRUM_SHAPE: Shape = (FRAMES, SIGNALS, BINS, 2)
_CONVOLUTION_PAST = 3  # steps, one less than the taps of a Mamba block
_FILTER_PAST = 2  # frames, one less than the taps of the complex decoder


class Form(StrEnum):
    """What a file computes in one call."""

    STREAM = "stream"  # the next frames of endless signals, from a state that goes in and comes out
    WHOLE = "whole"  # whole signals


def layer_states(config: MbsNetConfig, layer: int) -> tuple[str, str]:
    """The names of what a time layer carries from call to call."""
    if config.time_layer == "lstm":
        return f"layer{layer}_hidden", f"layer{layer}_cell"
    return f"layer{layer}_convolution", f"layer{layer}_scan"


def state_shapes(config: MbsNetConfig) -> dict[str, Shape]:
    """What a causal model carries from call to call, by name; all zeros at the start."""
    inner = config.inner_features
    first: Shape = (_CONVOLUTION_PAST, SIGNALS, BANDS, inner)
    second: Shape = (SIGNALS, BANDS, config.states, inner)
    if config.time_layer == "lstm":
        first = second = (SIGNALS, BANDS, inner)
    shapes: dict[str, Shape] = {LEVEL: (SIGNALS, 2)}
    for layer in range(config.layers * (2 if config.branches == "dual" else 1)):
        names = layer_states(config, layer)
        shapes |= zip(names, (first, second), strict=True)
    if config.decoder == "complex-3-tap":
        shapes[PAST_FRAMES] = (_FILTER_PAST, SIGNALS, BINS, 2)
    return shapes


def input_shapes(config: ModelConfig, form: Form) -> dict[str, Shape]:
    """The inputs of a file in their order."""
    shapes = {SPECTRUM: _SPECTRUM_SHAPE}
    if form is Form.STREAM:
        assert isinstance(config, MbsNetConfig)
        shapes |= state_shapes(config)
    return shapes


def output_shapes(config: ModelConfig, form: Form) -> dict[str, Shape]:
    """The outputs of a file in their order."""
    states = [name for name in input_shapes(config, form) if name != SPECTRUM]
    shapes = input_shapes(config, form)
    return {ESTIMATE: _SPECTRUM_SHAPE} | {f"{NEXT}{name}": shapes[name] for name in states}
