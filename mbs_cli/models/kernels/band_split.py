"""A spectrum compressed, and the values of a band's bins made into its features, for inference.

Letters: B batch, T frames, R rows (frames of a batch), V values per bin, F bins, K bands,
D features, I values of a band.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST, exp, log
from mbs_cli.models.kernels.product import (
    padded_columns,
    padded_rows,
    product,
    tile_rows,
    write_rows,
)

TOGETHER = 32  # rows that go together


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def compress_frames(  # type: ignore[no-untyped-def]
    first, stop, spectrum, power, decay, floor, levels, values
):
    """Fill values (B, T, 3, F): magnitude, real and imaginary part of spectrum (B, T, F, 2).

    Compressed, and divided by the running level, whose decayed sums of frame levels and weights,
    levels (B, 2), are left as they are after the last frame. Frame by frame, so that how a signal
    is cut into calls does not change a bit. The signals from `first` to before `stop` are done.
    """
    power, decay, floor = np.float32(power), np.float32(decay), np.float32(floor)
    bins = spectrum.shape[2]
    for b in range(first, stop):
        for t in range(spectrum.shape[1]):
            frame, out = spectrum[b, t], values[b, t]
            total = np.float32(0.0)
            for f in range(bins):
                real, imaginary = frame[f, 0], frame[f, 1]
                magnitude = max(np.sqrt(real * real + imaginary * imaginary), floor)
                compressed = exp(power * log(magnitude))
                out[0, f] = compressed
                out[1, f] = real * (compressed / magnitude)
                out[2, f] = imaginary * (compressed / magnitude)
                total += compressed * compressed
            levels[b, 0] = decay * levels[b, 0] + total / np.float32(bins)
            levels[b, 1] = decay * levels[b, 1] + np.float32(1.0)
            scale = np.sqrt(levels[b, 1] / levels[b, 0])
            for v in range(3):
                for f in range(bins):
                    out[v, f] *= scale


@njit(error_model="numpy")
def _embed_band(values, gain, shift, weight, bias, first_bin, width, features):  # type: ignore[no-untyped-def]
    """As `embed_bands`, of one band with bins from first_bin on: features (R, D)."""
    rows, size = features.shape
    together = padded_rows(min(TOGETHER, rows))
    band = np.zeros((together, padded_columns(values.shape[1] * width)), np.float32)
    operand = np.zeros((together, weight.shape[0]), weight.dtype)
    out = np.zeros((together, weight.shape[1]), np.float32)
    for first in range(0, rows, TOGETHER):
        count = min(TOGETHER, rows - first)
        for i in range(count):
            for v in range(values.shape[1]):
                for f in range(width):
                    b = first_bin + f
                    band[i, v * width + f] = values[first + i, v, b] * gain[v, b] + shift[v, b]
        write_rows(band[:count], operand)
        product(operand[: tile_rows(count)], weight, bias, out)
        for i in range(count):
            row = features[first + i]
            for d in range(size):
                row[d] = out[i, d]


@njit(nogil=True, error_model="numpy", cache=True)
def embed_bands(  # type: ignore[no-untyped-def]
    first, stop, values, gain, shift, weight, bias, spans, features
):
    """Fill features (K, R, D) from values (R, V, F), each times its gain plus its shift (V, F).

    weight (K, I, D) in words and bias (K, D), where I are the first values of the bins of a band,
    then the second; band k holds the bins from spans[k, 0] to before spans[k, 1]. The bands from
    `first` to before `stop` are done.
    """
    for k in range(first, stop):
        first_bin, last = spans[k]
        _embed_band(
            values, gain, shift, weight[k], bias[k], first_bin, last - first_bin, features[k]
        )
