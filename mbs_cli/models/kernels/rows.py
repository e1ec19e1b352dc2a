"""LayerNorm of a row, as a part of fused kernels."""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST
from mbs_cli.models.kernels.bfloat16 import narrow

_VARIANCE_FLOOR = np.float32(1e-5)  # as torch's LayerNorm has it


@njit(inline="always", fastmath=FAST)
def moments(row):  # type: ignore[no-untyped-def]
    """Mean and inverse deviation of a row (D,)."""
    features = row.shape[0]
    total = np.float32(0.0)
    for d in range(features):
        total += row[d]
    mean = total / np.float32(features)
    squares = np.float32(0.0)
    for d in range(features):
        squares += (row[d] - mean) * (row[d] - mean)
    return mean, np.float32(1.0) / np.sqrt(squares / np.float32(features) + _VARIANCE_FLOOR)


@njit(inline="always", fastmath=FAST)
def normalise(row, gain, shift, out):  # type: ignore[no-untyped-def]
    """Fill out (D,), float32 or the bits of bfloat16, with the LayerNorm of row (D,)."""
    mean, scale = moments(row)
    for d in range(row.shape[0]):
        out[d] = narrow((row[d] - mean) * scale * gain[d] + shift[d], out[d])
