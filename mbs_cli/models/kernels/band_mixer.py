"""The band mixer in one pass over the frames, for inference.

Letters: K bands, R rows (frames of a batch), D features, H hidden bands. Bands are the depth of
both products, so that a row of features is a row of their right-hand factor.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST, gelu
from mbs_cli.models.kernels.product import add_product, padded_columns, write_pair
from mbs_cli.models.kernels.rows import normalise

FRAMES = 8  # that go together, so that inner loops are long


@njit(error_model="numpy", fastmath=FAST)
def _gelu_pairs(x, words):  # type: ignore[no-untyped-def]
    """Write GELU of x (H, C), H even, as the right-hand factor of a product."""
    for h in range(0, x.shape[0], 2):
        for c in range(x.shape[1]):
            x[h, c], x[h + 1, c] = gelu(x[h, c]), gelu(x[h + 1, c])
        write_pair(x[h : h + 2], h, words)


@njit(error_model="numpy", fastmath=FAST)
def _mix_frames(x, start, norm, expand, reduce, y):  # type: ignore[no-untyped-def]
    """As `mix_bands`, of FRAMES frames from column `start` on, or as many as there are."""
    gain, shift = norm
    expand_weight, expand_bias = expand
    reduce_weight, reduce_bias = reduce
    bands, features = x.shape[0], gain.shape[0]
    columns = min(FRAMES * features, x.shape[1] - start)
    # Rows whose distance is a power of two would share few places of the cache.
    width = padded_columns(FRAMES * features + 1)
    pair = np.zeros((2, width), np.float32)
    hidden = np.empty((expand_weight.shape[0], width), np.float32)
    operand = np.zeros((expand_weight.shape[1], width), expand_weight.dtype)
    hidden_operand = np.zeros((reduce_weight.shape[1], width), reduce_weight.dtype)
    for k in range(0, bands, 2):
        for i in range(min(2, bands - k)):
            for c in range(0, columns, features):
                row = x[k + i, start + c : start + c + features]
                normalise(row, gain, shift, pair[i, c : c + features])
        if k + 1 == bands:
            pair[1] = 0.0
        write_pair(pair, k, operand)
    for h in range(hidden.shape[0]):
        hidden[h] = expand_bias[h]
    add_product(expand_weight, operand, hidden)
    _gelu_pairs(hidden, hidden_operand)
    mixed = hidden[: reduce_weight.shape[0]]
    for k in range(mixed.shape[0]):
        mixed[k] = reduce_bias[k]
    add_product(reduce_weight, hidden_operand, mixed)
    for k in range(bands):
        before, after = x[k, start : start + columns], y[k, start : start + columns]
        for c in range(columns):
            after[c] = before[c] + mixed[k, c]


@njit(nogil=True, error_model="numpy", cache=True)
def mix_bands(first, stop, x, norm, expand, reduce, y):  # type: ignore[no-untyped-def]
    """Fill y (K, R * D) = x + reduce(GELU(expand(LayerNorm(x)))) of x (K, R * D).

    norm: gain, shift (D,). expand, reduce: a weight (H, K), or (K, H), with a row for each output,
    and the bias of each. Weights hold words along their rows; rows and columns are padded. The work
    goes in blocks of FRAMES * D columns, of which those from `first` to before `stop` are done.
    """
    block = FRAMES * norm[0].shape[0]
    for place in range(first, stop):
        _mix_frames(x, place * block, norm, expand, reduce, y)
