"""BSRNN as an ONNX graph.

Letters: B signals, F = 257 frequency bins, T frames, K = 31 bands, D features.
"""

from __future__ import annotations

from mbs_cli.models.bands import BANDS
from mbs_cli.models.bsrnn import (
    BAND_VARIANCE_FLOOR,
    SILENCE_POWER,
    TAPS,
    VARIANCE_FLOOR,
    Bsrnn,
    DualLayer,
    MaskDecoder,
    NormedBandSplit,
    UtteranceNorm,
)
from mbs_cli.models.onnx.bins import by_band, join_bins, rotate, split_bins
from mbs_cli.models.onnx.graph import Value
from mbs_cli.models.onnx.layers import array, linear, lstm


def bsrnn(model: Bsrnn, spectrum: Value) -> Value:
    """The estimate (T, B, F, 2) of whole signals (T, B, F, 2)."""
    power = (spectrum * spectrum).mean(0, 2, 3) * 2.0
    x = _split_bands(model.band_split, spectrum / (power + SILENCE_POWER).apply("Sqrt"))
    for layer in model.layers:
        assert isinstance(layer, DualLayer)
        x = _dual_layer(x, layer)
    return _filter_frames(spectrum, _masks(x, model.decoder, spectrum))


def _split_bands(split: NormedBandSplit, spectrum: Value) -> Value:
    """(T, B, F, 2) -> (T, B, K, D)."""
    normed = _normalise(spectrum, split)
    # Gain and shift before the bands' Linears become part of these.
    weight = split.weight * split.gain[:, :, None]
    shift = by_band(split.weight * split.shift[:, :, None], split.index).sum(dim=(1, 2))
    return split_bins(normed, split.index, weight, split.bias + shift[:, None])


def _normalise(spectrum: Value, split: NormedBandSplit) -> Value:
    """Zero mean and unit variance in every band, over its values and all frames."""
    by_bins = spectrum.graph.constant(array(split.band_mean))  # (F, F), averages over a band
    mean = by_bins @ spectrum.mean(0, 3)  # (1, B, F, 1)
    centred = spectrum - mean
    variance = by_bins @ (centred * centred).mean(0, 3)
    return centred / (variance + BAND_VARIANCE_FLOOR).apply("Sqrt")


def _dual_layer(x: Value, layer: DualLayer) -> Value:
    """(T, B, K, D) -> (T, B, K, D)."""
    features = layer.time_lstm.input_size
    sequences = _utterance_norm(x, layer.time_norm).reshape(0, -1, features)
    along_time = linear(lstm(sequences, layer.time_lstm)[0], layer.time_out)
    x = x + along_time.reshape(0, -1, BANDS, features)
    by_band_first = _utterance_norm(x, layer.band_norm).transpose(2, 0, 1, 3)
    across_bands, _ = lstm(by_band_first.reshape(0, -1, features), layer.band_lstm)
    y = linear(across_bands, layer.band_out).transpose(1, 0, 2)  # (T B, K, D)
    return x + y.reshape(x.lengths(0, 2), BANDS, features)


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
    values = join_bins(hidden, decoder.index, decoder.weight, spectrum) + array(decoder.bias.T)
    kept, gate = values.split([decoder.VALUES, decoder.VALUES])
    return kept * gate.apply("Sigmoid")


def _filter_frames(spectrum: Value, masks: Value) -> Value:
    """Each bin as a sum over its frames t - 1, t, t + 1; beyond both ends there is silence."""
    graph = spectrum.graph
    edge = graph.zeros(TAPS // 2, spectrum.lengths(1, 4))
    padded = graph.concat(edge, spectrum, edge, axis=0)
    parts = masks.split([2] * TAPS)
    estimate = rotate(spectrum, parts[TAPS // 2])
    for tap in (0, 2):
        estimate = estimate + rotate(padded.slice(tap, tap + 1 - TAPS or None), parts[tap])
    return estimate
