"""The band mixer in one pass over the frames, for inference.

Letters: K bands, R rows (frames of a batch), D features, H hidden bands.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from mbs_cli.models.kernels.arithmetic import FAST, gelu
from mbs_cli.models.kernels.rows import TILE, add_product, normalise

FRAMES = 8  # that go together, so that inner loops are long


@njit(inline="always", error_model="numpy", fastmath=FAST)
def _product(weight, x, bias, first, y):  # type: ignore[no-untyped-def]
    """Fill y (TILE, C) with the rows from `first` on of weight (O, I) x (I, C) + bias (O,)."""
    for i in range(TILE):
        y[i] = bias[first + i]
    add_product(weight[first : first + TILE], x, y)


@njit(parallel=True, error_model="numpy", fastmath=FAST, cache=True)
def mix_bands(  # type: ignore[no-untyped-def]
    x, gain, shift, expand_weight, expand_bias, reduce_weight, reduce_bias, y
):
    """Fill y (K, R * D) = x + reduce(GELU(expand(LayerNorm(x)))) of x (K, R * D).

    gain, shift (D,); expand_weight (H, K) and reduce_weight (K, H) with a bias for each of their
    rows; float32, C order, H and K at least TILE. Where rows are no multiple of a tile, the last
    tile starts early and computes some of them again.
    """
    bands, size = x.shape
    hidden_bands, features = expand_weight.shape[0], gain.shape[0]
    block = FRAMES * features
    for place in prange((size + block - 1) // block):
        start, stop = place * block, min((place + 1) * block, size)
        columns = stop - start
        normed = np.empty((bands, columns), np.float32)
        hidden = np.empty((hidden_bands, columns), np.float32)
        mixed = np.empty((TILE, columns), np.float32)
        for k in range(bands):
            for c in range(0, columns, features):
                row = x[k, start + c : start + c + features]
                normalise(row, gain, shift, normed[k, c : c + features])
        for tile in range(0, hidden_bands, TILE):
            first = min(tile, hidden_bands - TILE)
            rows = hidden[first : first + TILE]
            _product(expand_weight, normed, expand_bias, first, rows)
            for i in range(TILE):
                for c in range(columns):
                    rows[i, c] = gelu(rows[i, c])
        for tile in range(0, bands, TILE):
            first = min(tile, bands - TILE)
            _product(reduce_weight, hidden, reduce_bias, first, mixed)
            for i in range(TILE):
                before, after = x[first + i, start:stop], y[first + i, start:stop]
                for c in range(columns):
                    after[c] = before[c] + mixed[i, c]
