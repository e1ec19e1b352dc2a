"""LayerNorm of a row, as a part of fused kernels."""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST

VARIANCE_FLOOR = np.float32(1e-5)  # as torch's LayerNorm has it


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
    scale = np.float32(1.0) / np.sqrt(squares / np.float32(features) + VARIANCE_FLOOR)
    for d in range(features):
        out[d] = (row[d] - mean) * scale * gain[d] + shift[d]
