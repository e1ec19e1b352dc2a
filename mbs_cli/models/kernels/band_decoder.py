"""The decoder of every band in one pass, for inference: norm, hidden layer, tanh, values per bin.

Letters: K bands, R rows (frames of a batch), D features, H hidden features, V values per bin,
M places, which are the bins of all bands, C values of a band.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST, sigmoid, tanh
from mbs_cli.models.kernels.product import (
    padded_columns,
    padded_rows,
    product,
    tile_rows,
    write_rows,
)
from mbs_cli.models.kernels.rows import normalise

TOGETHER = 32  # rows that go together


@njit(error_model="numpy", fastmath=FAST)
def _tanh(x):  # type: ignore[no-untyped-def]
    """In place."""
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            x[r, c] = tanh(x[r, c])


@njit(error_model="numpy", fastmath=FAST)
def _decode_band(  # type: ignore[no-untyped-def]
    x, gain, shift, hidden_weight, hidden_bias, weight, first_place, width, values
):
    """As `decode_bands`, of one band with places from first_place on: x (R, D), weight (H, C)."""
    rows, features = x.shape
    columns = padded_columns(values.shape[1] * width)
    size = padded_rows(min(TOGETHER, rows))
    normed = np.zeros((size, padded_columns(features)), np.float32)
    operand = np.zeros((size, hidden_weight.shape[0]), hidden_weight.dtype)
    hidden = np.zeros((size, hidden_weight.shape[1]), np.float32)
    hidden_operand = np.zeros((size, weight.shape[0]), weight.dtype)
    nothing, out = np.zeros(columns, np.float32), np.zeros((size, columns), np.float32)
    for first in range(0, rows, TOGETHER):
        count = min(TOGETHER, rows - first)
        computed = tile_rows(count)
        for i in range(count):
            normalise(x[first + i], gain, shift, normed[i, :features])
        write_rows(normed[:count], operand)
        product(operand[:computed], hidden_weight, hidden_bias, hidden)
        _tanh(hidden[:count])
        write_rows(hidden[:count], hidden_operand)
        product(hidden_operand[:computed], weight[:, :columns], nothing, out)
        for i in range(count):
            for v in range(values.shape[1]):
                for f in range(width):
                    values[first + i, v, first_place + f] = out[i, v * width + f]


@njit(nogil=True, error_model="numpy", cache=True)
def decode_bands(  # type: ignore[no-untyped-def]
    first,
    stop,
    x,
    norm_gain,
    norm_shift,
    hidden_weight,
    hidden_bias,
    weight,
    first_places,
    values,
):
    """Fill values (R, V, M).

    x (K, R, D); norm_gain, norm_shift (K, D); hidden_weight (K, D, H) and weight (K, H, C) in
    words with bias (K, H) of the first, where C are the first values of the places, then the next;
    band k holds the places first_places[k] to first_places[k + 1]. The bands from `first` to before
    `stop` are decoded.
    """
    for k in range(first, stop):
        place = first_places[k]
        _decode_band(
            x[k], norm_gain[k], norm_shift[k], hidden_weight[k], hidden_bias[k],
            weight[k], place, first_places[k + 1] - place, values,
        )  # fmt: skip


@njit(error_model="numpy", fastmath=FAST)
def _gate_rows(x, weight, bias, by_sigmoid, y):  # type: ignore[no-untyped-def]
    """As `gate_rows`, of a few rows."""
    rows, features = x.shape
    operand = np.zeros((padded_rows(rows), weight.shape[0]), weight.dtype)
    gate = np.zeros((padded_rows(rows), weight.shape[1]), np.float32)
    gate[:rows, :features] = x
    write_rows(gate[:rows], operand)
    product(operand[: tile_rows(rows)], weight, bias, gate)
    for r in range(rows):
        if by_sigmoid:
            for d in range(features):
                y[r, d] = x[r, d] * sigmoid(gate[r, d])
        else:
            for d in range(features):
                y[r, d] = x[r, d] * tanh(gate[r, d])


@njit(nogil=True, error_model="numpy", cache=True)
def gate_rows(first, stop, x, weight, bias, by_sigmoid, y):  # type: ignore[no-untyped-def]
    """Fill y (R, D) with x (R, D) times the sigmoid, or else the tanh, of x weight + bias.

    weight (D, D) in words, bias (D,). The work goes in pieces of TOGETHER rows, of which those
    from `first` to before `stop` are done.
    """
    for place in range(first, stop):
        row, last = place * TOGETHER, min((place + 1) * TOGETHER, x.shape[0])
        _gate_rows(x[row:last], weight, bias, by_sigmoid, y[row:last])
