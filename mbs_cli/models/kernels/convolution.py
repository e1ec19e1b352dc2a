"""The short causal convolution of a Mamba block with its SiLU, as fused numba kernels.

Letters: S sequences, L steps, E features, W taps (the last one weighs the present).
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from mbs_cli.models.kernels.arithmetic import FAST, sigmoid


@njit(inline="always", fastmath=FAST)
def _preactivation(x, weight, bias, past, s, t, out):  # type: ignore[no-untyped-def]
    """Set out (E,) to bias + the taps over steps t - W + 1 to t; before step 0 lies `past`."""
    taps, features = weight.shape
    for e in range(features):
        out[e] = bias[e]
    for tap in range(taps):
        source = t + tap - (taps - 1)
        if source >= 0:
            for e in range(features):
                out[e] += weight[tap, e] * x[s, source, e]
        else:
            for e in range(features):
                out[e] += weight[tap, e] * past[s, source + taps - 1, e]


@njit(parallel=True, error_model="numpy", fastmath=FAST, cache=True)
def conv_forward(x, weight, bias, past, y):  # type: ignore[no-untyped-def]
    """Fill y (S, L, E) as in `mbs_cli.models.convolution.causal_conv_silu`."""
    features = weight.shape[1]
    for s in prange(x.shape[0]):
        before = np.empty(features, np.float32)
        for t in range(x.shape[1]):
            _preactivation(x, weight, bias, past, s, t, before)
            for e in range(features):
                y[s, t, e] = before[e] * sigmoid(before[e])


@njit(parallel=True, error_model="numpy", fastmath=FAST, cache=True)
def conv_backward(  # type: ignore[no-untyped-def]
    x, weight, bias, past, dy, dx, dweight, dbias, dpast
):
    """Fill dx (S, L, E), dpast (S, W - 1, E) and, one part per sequence, dweight and dbias."""
    taps, features = weight.shape
    one = np.float32(1.0)
    for s in prange(x.shape[0]):
        g = np.empty(features, np.float32)
        dx[s, :, :] = 0.0
        dpast[s, :, :] = 0.0
        dweight[s, :, :] = 0.0
        dbias[s, :] = 0.0
        for t in range(x.shape[1]):
            _preactivation(x, weight, bias, past, s, t, g)
            for e in range(features):
                gate = sigmoid(g[e])
                g[e] = dy[s, t, e] * gate * (one + g[e] * (one - gate))
                dbias[s, e] += g[e]
            for tap in range(taps):
                source = t + tap - (taps - 1)
                if source >= 0:
                    for e in range(features):
                        dweight[s, tap, e] += g[e] * x[s, source, e]
                        dx[s, source, e] += g[e] * weight[tap, e]
                else:
                    for e in range(features):
                        dweight[s, tap, e] += g[e] * past[s, source + taps - 1, e]
                        dpast[s, source + taps - 1, e] += g[e] * weight[tap, e]
