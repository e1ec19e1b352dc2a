"""The short causal convolution of a Mamba block with its SiLU, both ways, for training.

Letters: S sequences, L steps, E inner features, W taps (the last one weighs the present). Values
are float32 or the bits of bfloat16, which are computed with in float32. Rows are the steps of all
sequences: step t of sequence s is the row first_row + s * sequence_stride + t * step_stride of
`places` = (first_row, sequence_stride, step_stride, L). Kernels do the sequences from `first` to
before `stop`; sums over rows come in one part for each sequence, so that no result depends on the
number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST, sigmoid, silu_slope
from mbs_cli.models.kernels.bfloat16 import narrow, widen


@njit(inline="always", fastmath=FAST)
def _preactivation(x, weight, bias, row, stride, t, out):  # type: ignore[no-untyped-def]
    """Set out (E,) to bias + the taps over the step t at `row` and those before it."""
    taps, features = weight.shape
    for e in range(features):
        out[e] = bias[e]
    for tap in range(max(0, taps - 1 - t), taps):
        source = row + (tap - (taps - 1)) * stride
        for e in range(features):
            out[e] += weight[tap, e] * widen(x[source, e])


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def convolve(first, stop, places, x, weight, bias, y):  # type: ignore[no-untyped-def]
    """Fill y (rows, E) with SiLU of bias (E,) + the taps (W, E) over x (rows, at least E)."""
    first_row, sequence_stride, stride, steps = places
    features = weight.shape[1]
    before = np.empty(features, np.float32)
    for s in range(first, stop):
        for t in range(steps):
            row = first_row + s * sequence_stride + t * stride
            _preactivation(x, weight, bias, row, stride, t, before)
            for e in range(features):
                y[row, e] = narrow(before[e] * sigmoid(before[e]), y[row, e])


@njit(inline="always", fastmath=FAST)
def _through_silu(  # type: ignore[no-untyped-def]
    x, weight, bias, row, stride, t, dy, more, g, dweight, dbias
):
    """Set g (E,) to the gradient before SiLU at step t; add what it says to dweight and dbias."""
    taps, features = weight.shape
    _preactivation(x, weight, bias, row, stride, t, g)
    for e in range(features):
        g[e] = (widen(dy[row, e]) + widen(more[row, e])) * silu_slope(g[e])
        dbias[e] += g[e]
    for tap in range(max(0, taps - 1 - t), taps):
        source = row + (tap - (taps - 1)) * stride
        for e in range(features):
            dweight[tap, e] += g[e] * widen(x[source, e])


@njit(inline="always", fastmath=FAST)
def _through_taps(weight, recent, t, total, dx):  # type: ignore[no-untyped-def]
    """Set dx (at least E) at step t to what the steps t to t + W - 1 of recent (W, E) say."""
    taps, features = weight.shape
    total[:] = 0.0
    for tap in range(taps):
        later = recent[(t + taps - 1 - tap) % taps]
        for e in range(features):
            total[e] += weight[tap, e] * later[e]
    for e in range(features):
        dx[e] = narrow(total[e], dx[e])


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def convolve_backward(  # type: ignore[no-untyped-def]
    first, stop, places, x, weight, bias, dy, more, dx, dweight, dbias
):
    """Fill the first E features of dx (rows, at least E), dweight (S, W, E) and dbias (S, E).

    dy and more (rows, E) add up to the gradient of what `convolve` gives.
    """
    first_row, sequence_stride, stride, steps = places
    taps, features = weight.shape
    recent = np.empty((taps, features), np.float32)  # gradients before SiLU, by step modulo W
    total = np.empty(features, np.float32)
    for s in range(first, stop):
        dweight[s, :, :] = 0.0
        dbias[s, :] = 0.0
        for t in range(steps + taps - 1):
            row = first_row + s * sequence_stride + t * stride
            g = recent[t % taps]
            if t < steps:
                _through_silu(
                    x, weight, bias, row, stride, t, dy, more, g, dweight[s], dbias[s]
                )  # fmt: skip
            else:
                g[:] = 0.0
            done = t - (taps - 1)
            if done >= 0:
                _through_taps(weight, recent, done, total, dx[row - (taps - 1) * stride])
