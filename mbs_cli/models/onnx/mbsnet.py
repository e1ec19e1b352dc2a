"""MBS-Net as an ONNX graph.

Letters: B signals, F = 257 frequency bins, T frames, K bands, D features, H hidden features.
Unlike in torch, frames come first, so that a step of the scan lies in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from mbs_cli.audio.parameters import BINS
from mbs_cli.models.band_split import COMPRESSION, FLOOR, BandSplit
from mbs_cli.models.decoders import UNIT_FLOOR, BandDecoder, ComplexDecoder
from mbs_cli.models.encoder import BandMamba, BandMixer, Encoder, LstmLayer
from mbs_cli.models.mamba import MambaLayer
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.onnx.bins import by_band, join_bands, rotate, share_bins, split_bins
from mbs_cli.models.onnx.graph import Value
from mbs_cli.models.onnx.layers import (
    LayerState,
    array,
    band_mixer,
    linear,
    lstm_layer,
    mamba_layer,
    past_steps,
    silent_state,
)
from mbs_cli.models.onnx.signature import LEVEL, PAST_FRAMES, layer_states

States = dict[str, Value]


def mbs_net(
    model: MbsNet, spectrum: Value, states: States, kept: Value | None
) -> tuple[Value, States]:
    """The estimate (T, B, F, 2) of a spectrum (T, B, F, 2), and the states after its last frame, or
    after the first `kept` (1,).
    """
    graph, count = spectrum.graph, len(model.encoder.time_layers)
    features, level = _split_bands(model.band_split, spectrum, states[LEVEL], kept)
    names = [layer_states(model.config, layer) for layer in range(2 * count)]
    encoded, after = _encode(model.encoder, features, names[:count], states, kept)
    phase_features = encoded
    if model.phase_encoder is not None:
        phase_features, more = _encode(model.phase_encoder, features, names[count:], states, kept)
        after |= more
    after[LEVEL] = level
    if model.complex is not None:
        past = states[PAST_FRAMES]
        padded = graph.concat(past, spectrum, axis=0)
        after[PAST_FRAMES] = past_steps(padded, ComplexDecoder.TAPS - 1, kept)
        return _filter(model.complex, encoded, spectrum, padded), after
    assert model.magnitude is not None
    gated = encoded * linear(encoded, model.magnitude.head).apply("Sigmoid")
    gain = _decode(model.magnitude.decoder, gated, spectrum).apply("Sigmoid")
    estimate = spectrum * (gain * 2.0)
    if model.phase is None:
        return estimate, after
    gated = phase_features * linear(phase_features, model.phase.head).apply("Tanh")
    vector = _decode(model.phase.decoder, gated, spectrum)
    length = ((vector * vector).sum(-1) + UNIT_FLOOR).apply("Sqrt")
    return rotate(estimate, vector / length), after


def _split_bands(
    split: BandSplit, spectrum: Value, level: Value, kept: Value | None
) -> tuple[Value, Value]:
    """Features (T, B, K, D), and the running level's state (B, 2)."""
    graph = spectrum.graph
    log_power = (spectrum * spectrum).sum(-1).apply("Max", FLOOR**2).apply("Log")
    compressed = (log_power * (COMPRESSION / 2)).apply("Exp")  # |Y|^0.3 (T, B, F, 1)
    mean_level, level = _running_level((compressed * compressed).mean(2), level, kept, split.decay)
    parts = spectrum * (log_power * ((COMPRESSION - 1) / 2)).apply("Exp")
    values = graph.concat(compressed, parts, axis=-1) / mean_level.apply("Sqrt")
    # Gain and shift before the bands' Linears become part of these.
    bin_of_place = split.bins[split.bins < BINS]
    weight = split.weight * split.gain[:, bin_of_place, None]
    shifted = split.weight * split.shift[:, bin_of_place, None]
    bias = split.bias + by_band(shifted, split.places).sum(dim=(1, 2))[:, None]
    return split_bins(values, split.bins, split.places, weight, bias), level


def _running_level(
    levels: Value, state: Value, kept: Value | None, per_frame: float
) -> tuple[Value, Value]:
    """The weighted mean (T, B, 1, 1) over the frames so far of (T, B, 1, 1), and its state (B, 2).

    The state holds the decayed sum of levels and that of their weights.
    """
    graph = levels.graph
    decay = graph.constant(per_frame)
    pairs = levels.append_last(1.0).squeeze(2)  # (T, B, 2): a level and its weight

    def advance(sums: Value, pair: Value) -> tuple[Value, Value]:
        sums = sums * decay + pair
        return sums, sums.apply("Identity")  # two outputs may not have one name

    state, sums = graph.scan(advance, state, pairs, kept=kept)
    total, weight = sums.unsqueeze(2).split([1, 1])
    return total / weight, state


def _encode(
    encoder: Encoder,
    x: Value,
    names: Sequence[tuple[str, str]],
    states: States,
    kept: Value | None,
) -> tuple[Value, States]:
    """(T, B, K, D) -> (T, B, K, D), and the states of its layers, which have these names."""
    after: States = {}
    for place, layer in enumerate(encoder.time_layers):
        known = (states[names[place][0]], states[names[place][1]])
        x, state = _run_time_layer(x, layer, known, kept)
        after |= zip(names[place], state, strict=True)
        band_layer = encoder.band_layer_after(place)
        if band_layer is not None:
            x = _run_band_layer(x, band_layer)
    return x, after


def _run_time_layer(
    x: Value, layer: nn.Module, state: LayerState, kept: Value | None
) -> tuple[Value, LayerState]:
    if isinstance(layer, LstmLayer):
        assert kept is None  # it does not look ahead
        return lstm_layer(x, layer, state)
    assert isinstance(layer, MambaLayer)
    return mamba_layer(x, layer, state, kept)


def _run_band_layer(x: Value, layer: nn.Module) -> Value:
    if isinstance(layer, BandMixer):
        return band_mixer(x, layer)
    assert isinstance(layer, BandMamba)
    along_bands = x.transpose(2, 0, 1, 3)
    state = silent_state(along_bands, layer.layer.forward_mamba)
    return mamba_layer(along_bands, layer.layer, state)[0].transpose(1, 2, 0, 3)


def _decode(decoder: BandDecoder, features: Value, spectrum: Value) -> Value:
    """The values V of every bin (T, B, F, V), from features (T, B, K, D)."""
    gain, shift = decoder.norm_gain, decoder.norm_shift  # they become part of the Linear behind
    hidden_weight = gain.mT * decoder.hidden_weight
    hidden_bias = decoder.hidden_bias + shift @ decoder.hidden_weight

    size = gain.shape[-1]
    normed = features.apply("LayerNormalization", np.ones(size), axis=-1)
    flat = normed.transpose(2, 0, 1, 3).reshape(0, -1, size)
    hidden = (flat @ array(hidden_weight) + array(hidden_bias)).apply("Tanh")
    values = join_bands(hidden, decoder.places, decoder.weight, spectrum)
    if decoder.table.overlap:
        values = share_bins(values, decoder.deciding, decoder.shares)
    return values + array(decoder.bias.T)


def _filter(decoder: ComplexDecoder, features: Value, spectrum: Value, padded: Value) -> Value:
    """The estimate of a spectrum (T, B, F, 2), given with the frames before it as `padded`."""
    masks = _decode(decoder.decoder, features, spectrum).split([2] * decoder.TAPS)
    most = decoder.TAPS - 1
    estimate = rotate(spectrum, masks[0])
    for tap in range(1, decoder.TAPS):
        estimate = estimate + rotate(padded.slice(most - tap, -tap), masks[tap])
    return estimate
