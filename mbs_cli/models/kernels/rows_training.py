"""What the layers of the encoder do row by row, both ways, for training.

Letters: R rows, D features. Values are float32 or, where told by `widen` and `narrow`, also the
bits of bfloat16. Kernels do the rows, or the blocks of BLOCK rows, from `first` to before `stop`;
sums over rows come in one part for each block, so that no result depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST, gelu, normal
from mbs_cli.models.kernels.bfloat16 import narrow, widen
from mbs_cli.models.kernels.rows import moments, normalise

BLOCK = 256


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def normalise_rows(first, stop, x, gain, shift, y):  # type: ignore[no-untyped-def]
    """Fill y (R, D) with the LayerNorm of x (R, D)."""
    for r in range(first, stop):
        normalise(x[r], gain, shift, y[r])


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def normalise_rows_backward(  # type: ignore[no-untyped-def]
    first, stop, x, gain, dy, residual, dx, dgain, dshift
):
    """Fill dx (R, D) with residual (R, D) + the gradient of x; dgain, dshift (blocks, D)."""
    features = x.shape[1]
    for block in range(first, stop):
        dgain[block, :] = 0.0
        dshift[block, :] = 0.0
        for r in range(block * BLOCK, min((block + 1) * BLOCK, x.shape[0])):
            mean, scale = moments(x[r])
            along_one, along_x = np.float32(0.0), np.float32(0.0)
            for d in range(features):
                value, given = (x[r, d] - mean) * scale, widen(dy[r, d])
                dgain[block, d] += given * value
                dshift[block, d] += given
                along_one += given * gain[d]
                along_x += given * gain[d] * value
            along_one /= np.float32(features)
            along_x /= np.float32(features)
            for d in range(features):
                value = (x[r, d] - mean) * scale
                through = widen(dy[r, d]) * gain[d] - along_one - value * along_x
                dx[r, d] = residual[r, d] + scale * through


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def add_rows(first, stop, x, change, bias, y):  # type: ignore[no-untyped-def]
    """Fill y (R, D) with x (R, D) + change (R, D) + bias (R or 1, D or 1)."""
    for r in range(first, stop):
        own = bias[r % bias.shape[0]]
        if own.shape[0] == 1:
            for d in range(x.shape[1]):
                y[r, d] = x[r, d] + widen(change[r, d]) + own[0]
        else:
            for d in range(x.shape[1]):
                y[r, d] = x[r, d] + widen(change[r, d]) + own[d]


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def gelu_rows(first, stop, x, bias, y):  # type: ignore[no-untyped-def]
    """Fill y (R, D) with GELU of x (R, D) + bias (R,)."""
    for r in range(first, stop):
        for d in range(x.shape[1]):
            y[r, d] = narrow(gelu(widen(x[r, d]) + bias[r]), y[r, d])


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def gelu_rows_backward(first, stop, x, bias, dy, y, dbias):  # type: ignore[no-untyped-def]
    """Fill y as `gelu_rows` did and dbias (R,); overwrite dy (R, D) with the gradient of x."""
    for r in range(first, stop):
        total = np.float32(0.0)
        for d in range(x.shape[1]):
            v = widen(x[r, d]) + bias[r]
            share, density = normal(v)
            y[r, d] = narrow(v * share, y[r, d])
            g = widen(dy[r, d]) * (share + v * density)
            total += g
            dy[r, d] = narrow(g, dy[r, d])
        dbias[r] = total
