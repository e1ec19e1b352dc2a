"""The values of a band's bins made into its features, for inference.

Letters: R rows (frames of a batch), V values per bin, F bins, K bands, D features, I values of a
band.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.product import (
    padded_columns,
    padded_rows,
    product,
    tile_rows,
    write_rows,
)

TOGETHER = 32  # rows that go together


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
    first, stop, values, gain, shift, weight, bias, first_bins, features
):
    """Fill features (K, R, D) from values (R, V, F), each times its gain plus its shift (V, F).

    weight (K, I, D) in words and bias (K, D), where I are the first values of the bins of a band,
    then the second; band k holds the bins first_bins[k] to first_bins[k + 1]. The bands from
    `first` to before `stop` are done.
    """
    for k in range(first, stop):
        first_bin = first_bins[k]
        _embed_band(
            values, gain, shift, weight[k], bias[k],
            first_bin, first_bins[k + 1] - first_bin, features[k],
        )  # fmt: skip
