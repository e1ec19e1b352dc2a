"""LayerNorm of a row and the product of a few rows, as parts of fused kernels."""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST

TILE = 4  # rows of a product that share what is read of the other factor
_VARIANCE_FLOOR = np.float32(1e-5)  # as torch's LayerNorm has it


@njit(error_model="numpy", fastmath=FAST)
def normalise(row, gain, shift, out):  # type: ignore[no-untyped-def]
    """Fill out (D,) with the LayerNorm of row (D,)."""
    features = row.shape[0]
    total = np.float32(0.0)
    for d in range(features):
        total += row[d]
    mean = total / np.float32(features)
    squares = np.float32(0.0)
    for d in range(features):
        squares += (row[d] - mean) * (row[d] - mean)
    scale = np.float32(1.0) / np.sqrt(squares / np.float32(features) + _VARIANCE_FLOOR)
    for d in range(features):
        out[d] = (row[d] - mean) * scale * gain[d] + shift[d]


@njit(error_model="numpy", fastmath=FAST)
def add_product(x, weight, y):  # type: ignore[no-untyped-def]
    """Add x (TILE, I) weight (I, H) to y (TILE, H), along H in vectors, along I four at a time."""
    inputs, hidden = weight.shape
    for i in range(0, inputs - 3, 4):
        a0, a1, a2, a3 = x[0, i], x[0, i + 1], x[0, i + 2], x[0, i + 3]
        b0, b1, b2, b3 = x[1, i], x[1, i + 1], x[1, i + 2], x[1, i + 3]
        c0, c1, c2, c3 = x[2, i], x[2, i + 1], x[2, i + 2], x[2, i + 3]
        d0, d1, d2, d3 = x[3, i], x[3, i + 1], x[3, i + 2], x[3, i + 3]
        for h in range(hidden):
            w0, w1, w2, w3 = weight[i, h], weight[i + 1, h], weight[i + 2, h], weight[i + 3, h]
            y[0, h] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
            y[1, h] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
            y[2, h] += c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
            y[3, h] += d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3
    for i in range(inputs // 4 * 4, inputs):
        a0, b0, c0, d0 = x[0, i], x[1, i], x[2, i], x[3, i]
        for h in range(hidden):
            w0 = weight[i, h]
            y[0, h] += a0 * w0
            y[1, h] += b0 * w0
            y[2, h] += c0 * w0
            y[3, h] += d0 * w0
