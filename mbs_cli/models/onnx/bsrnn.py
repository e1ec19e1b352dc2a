"""BSRNN as an ONNX graph.

Letters: B signals, F = 257 frequency bins, T frames, K = 31 bands, D features.
"""

from __future__ import annotations

from mbs_cli.models.bsrnn import (
    BAND_VARIANCE_FLOOR,
    BANDS,
    SILENCE_POWER,
    TAPS,
    VARIANCE_FLOOR,
    Bsrnn,
    DualLayer,
    MaskDecoder,
    NormedBandSplit,
    UtteranceNorm,
)
from mbs_cli.models.onnx.bins import by_band, join_bands, rotate, split_bins
from mbs_cli.models.onnx.graph import Value
from mbs_cli.models.onnx.layers import (
    LayerState,
    array,
    linear,
    lstm,
    lstm_over_time,
    past_steps,
)
from mbs_cli.models.onnx.signature import PAST_FRAMES, layer_states


def bsrnn(
    model: Bsrnn, spectrum: Value, states: dict[str, Value], kept: Value | None
) -> tuple[Value, dict[str, Value]]:
    """The estimate (T, B, F, 2) of a spectrum (T, B, F, 2), and the states after its last frame, or
    after the first `kept` (1,). Levels and norms are those of all its frames.
    """
    power = (spectrum * spectrum).mean(0, 2, 3) * 2.0
    x = _split_bands(model.band_split, spectrum / (power + SILENCE_POWER).apply("Sqrt"))
    after: dict[str, Value] = {}
    for place, layer in enumerate(model.layers):
        assert isinstance(layer, DualLayer)
        names = layer_states(model.config, place)
        x, state = _dual_layer(x, layer, (states[names[0]], states[names[1]]), kept)
        after |= zip(names, state, strict=True)
    known = spectrum.graph.concat(states[PAST_FRAMES], spectrum, axis=0)
    after[PAST_FRAMES] = past_steps(known, TAPS // 2, kept)
    return _filter_frames(spectrum, known, _masks(x, model.decoder, spectrum)), after


def _split_bands(split: NormedBandSplit, spectrum: Value) -> Value:
    """(T, B, F, 2) -> (T, B, K, D)."""
    normed = _normalise(spectrum, split)
    # Gain and shift before the bands' Linears become part of these.
    weight = split.weight * split.gain[:, :, None]
    shift = by_band(split.weight * split.shift[:, :, None], split.places).sum(dim=(1, 2))
    return split_bins(normed, split.bins, split.places, weight, split.bias + shift[:, None])


def _normalise(spectrum: Value, split: NormedBandSplit) -> Value:
    """Zero mean and unit variance in every band, over its values and all frames."""
    by_bins = spectrum.graph.constant(array(split.band_mean))  # (F, F), averages over a band
    mean = by_bins @ spectrum.mean(0, 3)  # (1, B, F, 1)
    centred = spectrum - mean
    variance = by_bins @ (centred * centred).mean(0, 3)
    return centred / (variance + BAND_VARIANCE_FLOOR).apply("Sqrt")


def _dual_layer(
    x: Value, layer: DualLayer, state: LayerState, kept: Value | None
) -> tuple[Value, LayerState]:
    """(T, B, K, D) -> (T, B, K, D), and the state of the LSTM along time."""
    features = layer.time_lstm.input_size
    normed = _utterance_norm(x, layer.time_norm)
    along_time, state = lstm_over_time(normed, layer.time_lstm, state, kept)
    x = x + linear(along_time, layer.time_out).reshape(0, -1, BANDS, features)
    by_band_first = _utterance_norm(x, layer.band_norm).transpose(2, 0, 1, 3)
    across_bands, _ = lstm(by_band_first.reshape(0, -1, features), layer.band_lstm)
    y = linear(across_bands, layer.band_out).transpose(1, 0, 2)  # (T B, K, D)
    return x + y.reshape(x.lengths(0, 2), BANDS, features), state


def _utterance_norm(x: Value, norm: UtteranceNorm) -> Value:
    return _standardise(x, 0, 2, 3) * array(norm.gain) + array(norm.shift)


def _standardise(x: Value, *axes: int) -> Value:
    """Zero mean and unit variance over these axes."""
    centred = x - x.mean(*axes)
    variance = (centred * centred).mean(*axes)
    return centred / (variance + VARIANCE_FLOOR).apply("Sqrt")


def _masks(x: Value, decoder: MaskDecoder, spectrum: Value) -> Value:
    """Complex masks of neighbouring frames (T, B, F, 2 TAPS) from (T, B, K, D)."""
    gain, shift = decoder.norm_gain[:, 0, 0], decoder.norm_shift[:, 0, 0]  # (K, D)
    normed = _standardise(x, 0, 3) * array(gain) + array(shift)
    features = gain.shape[1]
    flat = normed.transpose(2, 0, 1, 3).reshape(0, -1, features)
    hidden = (flat @ array(decoder.hidden_weight) + array(decoder.hidden_bias)).apply("Tanh")
    values = join_bands(hidden, decoder.places, decoder.weight, spectrum) + array(decoder.bias.T)
    kept, gate = values.split([decoder.VALUES, decoder.VALUES])
    return kept * gate.apply("Sigmoid")


def _filter_frames(spectrum: Value, known: Value, masks: Value) -> Value:
    """Each bin as a sum over its frames t - 1, t, t + 1; `known` is the spectrum with the frame
    before it, and after it there is silence.
    """
    edge = spectrum.graph.zeros(TAPS // 2, spectrum.lengths(1, 4))
    padded = spectrum.graph.concat(known, edge, axis=0)
    parts = masks.split([2] * TAPS)
    estimate = rotate(spectrum, parts[TAPS // 2])
    for tap in (0, 2):
        estimate = estimate + rotate(padded.slice(tap, tap + 1 - TAPS or None), parts[tap])
    return estimate
