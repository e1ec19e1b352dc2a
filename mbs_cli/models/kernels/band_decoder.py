"""The decoder of every band in one pass, for inference: norm, hidden layer, tanh, values per bin.

Letters: K bands, R rows (frames of a batch), D features, H hidden features, V values per bin,
F bins. Rows go in tiles of four, which share what is read of the weights.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from mbs_cli.models.kernels.arithmetic import FAST, tanh
from mbs_cli.models.kernels.rows import TILE, add_product, normalise


@njit(parallel=True, error_model="numpy", fastmath=FAST, cache=True)
def decode_bands(  # type: ignore[no-untyped-def]
    x, norm_gain, norm_shift, hidden_weight, hidden_bias, weight, bias, first_bins, values
):
    """Fill values (R, V, F).

    x (K, R, D); norm_gain, norm_shift (K, D); hidden_weight (K, D, H); hidden_bias (K, H);
    weight (V, F, H); bias (V, F); band k holds the bins first_bins[k] to first_bins[k + 1];
    float32 but first_bins, C order.
    """
    bands, rows, features = x.shape
    hidden_size = hidden_weight.shape[2]
    for k in prange(bands):
        normed = np.zeros((TILE, features), np.float32)
        hidden = np.zeros((TILE, hidden_size), np.float32)
        for first in range(0, rows, TILE):
            count = min(TILE, rows - first)
            for i in range(count):
                normalise(x[k, first + i], norm_gain[k], norm_shift[k], normed[i])
                hidden[i] = hidden_bias[k]
            add_product(normed, hidden_weight[k], hidden)
            for i in range(TILE):
                for h in range(hidden_size):
                    hidden[i, h] = tanh(hidden[i, h])
            for v in range(weight.shape[0]):
                for f in range(first_bins[k], first_bins[k + 1]):
                    s0 = s1 = s2 = s3 = bias[v, f]
                    for h in range(hidden_size):
                        w = weight[v, f, h]
                        s0 += hidden[0, h] * w
                        s1 += hidden[1, h] * w
                        s2 += hidden[2, h] * w
                        s3 += hidden[3, h] * w
                    sums = (s0, s1, s2, s3)
                    for i in range(count):
                        values[first + i, v, f] = sums[i]
