"""The band mixer in one pass over the frames, for inference.

Letters: K bands, R rows (frames of a batch), D features, H hidden bands.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from mbs_cli.models.kernels.arithmetic import FAST, gelu
from mbs_cli.models.kernels.rows import TILE, add_product, normalise

FRAMES = 8  # that go together, so that inner loops are long


@njit(parallel=True, error_model="numpy", fastmath=FAST, cache=True)
def mix_bands(  # type: ignore[no-untyped-def]
    x, gain, shift, expand_weight, expand_bias, reduce_weight, reduce_bias, y
):
    """Fill y (K, R, D) = x + reduce(GELU(expand(LayerNorm(x)))).

    x (K, R, D); gain, shift (D,); expand_weight (H, K) and reduce_weight (K, H) with a bias for
    each of their rows; float32, C order, H and K at least TILE. The last tile of an odd number of
    rows starts early and computes some again.
    """
    bands, rows, features = x.shape
    hidden_bands = expand_weight.shape[0]
    for block in prange((rows + FRAMES - 1) // FRAMES):
        start, stop = block * FRAMES, min((block + 1) * FRAMES, rows)
        columns = (stop - start) * features
        normed = np.empty((bands, columns), np.float32)
        hidden = np.empty((hidden_bands, columns), np.float32)
        mixed = np.empty((TILE, columns), np.float32)
        for k in range(bands):
            for r in range(start, stop):
                place = (r - start) * features
                normalise(x[k, r], gain, shift, normed[k, place : place + features])
        for early in range(0, hidden_bands, TILE):
            first = min(early, hidden_bands - TILE)
            tile = hidden[first : first + TILE]
            for i in range(TILE):
                tile[i] = expand_bias[first + i]
            add_product(expand_weight[first : first + TILE], normed, tile)
            for i in range(TILE):
                for c in range(columns):
                    tile[i, c] = gelu(tile[i, c])
        for early in range(0, bands, TILE):
            first = min(early, bands - TILE)
            for i in range(TILE):
                mixed[i] = reduce_bias[first + i]
            add_product(reduce_weight[first : first + TILE], hidden, mixed)
            for i in range(TILE):
                before = x[first + i, start:stop].reshape(columns)
                after = y[first + i, start:stop].reshape(columns)
                for c in range(columns):
                    after[c] = before[c] + mixed[i, c]
