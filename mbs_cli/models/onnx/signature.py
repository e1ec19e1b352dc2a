"""Inputs and outputs of the files: names and shapes. Imports nothing heavy.

Dimensions that differ from call to call have a name: `frames` of a call, `signals` side by side.
"""

from __future__ import annotations

from enum import StrEnum

from mbs_cli.audio.parameters import BINS
from mbs_cli.models.config import BsrnnConfig, ModelConfig

Shape = tuple[int | str, ...]

FRAMES, SIGNALS = "frames", "signals"
SPECTRUM, ESTIMATE = "spectrum", "estimate"
KEPT = "kept"  # the one input that is a whole number
NEXT = "next_"  # begins the name of a state that comes out
LEVEL, PAST_FRAMES = "level", "past_frames"  # states
_SPECTRUM_SHAPE: Shape = (FRAMES, SIGNALS, BINS, 2)
_CONVOLUTION_PAST = 3  # steps, one less than the taps of a Mamba block
_FILTER_PAST = 2  # frames, one less than the taps of the complex decoder
_MASK_PAST = 1  # frames that the mask of BSRNN reaches back


class Form(StrEnum):
    """What a file computes in one call."""

    STREAM = "stream"  # the next frames of endless signals, from a state that goes in and comes out
    WINDOW = "window"  # the same of a model that looks ahead, with frames to look ahead at
    WHOLE = "whole"  # whole signals


def endless_form(config: ModelConfig) -> Form:
    """The form for signals of any length."""
    return Form.STREAM if config.is_causal else Form.WINDOW


def layer_states(config: ModelConfig, layer: int) -> tuple[str, str]:
    """The names of what a time layer carries from call to call."""
    if isinstance(config, BsrnnConfig) or config.time_layer == "lstm":
        return f"layer{layer}_hidden", f"layer{layer}_cell"
    return f"layer{layer}_convolution", f"layer{layer}_scan"


def state_shapes(config: ModelConfig) -> dict[str, Shape]:
    """What a model carries forward in time from call to call, by name; all zeros at the start."""
    bands = config.band_table.bands
    if isinstance(config, BsrnnConfig):
        hidden: Shape = (SIGNALS, bands, 2 * config.features)
        layers = [layer_states(config, layer) for layer in range(config.layers)]
        shapes = {name: hidden for names in layers for name in names}
        return shapes | {PAST_FRAMES: (_MASK_PAST, SIGNALS, BINS, 2)}
    inner = config.inner_features
    first: Shape = (_CONVOLUTION_PAST, SIGNALS, bands, inner)
    second: Shape = (SIGNALS, bands, config.states, inner)
    if config.time_layer == "lstm":
        first = second = (SIGNALS, bands, inner)
    shapes = {LEVEL: (SIGNALS, 2)}
    for layer in range(config.layers * (2 if config.branches == "dual" else 1)):
        names = layer_states(config, layer)
        shapes |= zip(names, (first, second), strict=True)
    if config.decoder == "complex-3-tap":
        shapes[PAST_FRAMES] = (_FILTER_PAST, SIGNALS, BINS, 2)
    return shapes


def input_shapes(config: ModelConfig, form: Form) -> dict[str, Shape]:
    """The inputs of a file in their order."""
    shapes = {SPECTRUM: _SPECTRUM_SHAPE}
    if form is Form.WINDOW:
        shapes[KEPT] = ()
    return shapes if form is Form.WHOLE else shapes | state_shapes(config)


def output_shapes(config: ModelConfig, form: Form) -> dict[str, Shape]:
    """The outputs of a file in their order."""
    states = {} if form is Form.WHOLE else state_shapes(config)
    return {ESTIMATE: _SPECTRUM_SHAPE} | {NEXT + name: shape for name, shape in states.items()}
