"""Step sizes, selective scan and gate of a Mamba block in one pass, for inference.

Letters: S sequences, L steps, E features, N states per feature, R rank of the step sizes. As in
`mbs_cli.models.kernels.scan`, of which this is the forward half with what stands before and after
it: step sizes and outputs never leave the innermost cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from mbs_cli.models.kernels.arithmetic import FAST, exp2_of_negative, sigmoid, softplus


@njit(inline="always", error_model="numpy", fastmath=FAST)
def _step_sizes(step, weight, bias, dt):  # type: ignore[no-untyped-def]
    """Fill dt (E,) with the softplus of step (R,) weight (R, E) + bias (E,)."""
    rank, features = weight.shape
    for e in range(features):
        dt[e] = bias[e]
    for r in range(rank):
        factor = step[r]
        for e in range(features):
            dt[e] += factor * weight[r, e]
    for e in range(features):
        dt[e] = softplus(dt[e])


@njit(inline="always", error_model="numpy", fastmath=FAST)
def _advance(h, x, dt, rate, B, C, y):  # type: ignore[no-untyped-def]
    """Take the states h (N, E) one step further and add C h to y (E,)."""
    states, features = rate.shape
    for n in range(0, states - 3, 4):  # four states share a pass over the features
        b0, b1, b2, b3 = B[n], B[n + 1], B[n + 2], B[n + 3]
        c0, c1, c2, c3 = C[n], C[n + 1], C[n + 2], C[n + 3]
        for e in range(features):
            u = dt[e]
            push = u * x[e]
            h0 = exp2_of_negative(u * rate[n, e]) * h[n, e] + push * b0
            h1 = exp2_of_negative(u * rate[n + 1, e]) * h[n + 1, e] + push * b1
            h2 = exp2_of_negative(u * rate[n + 2, e]) * h[n + 2, e] + push * b2
            h3 = exp2_of_negative(u * rate[n + 3, e]) * h[n + 3, e] + push * b3
            h[n, e], h[n + 1, e], h[n + 2, e], h[n + 3, e] = h0, h1, h2, h3
            y[e] += c0 * h0 + c1 * h1 + c2 * h2 + c3 * h3
    for n in range(states // 4 * 4, states):
        b, c = B[n], C[n]
        for e in range(features):
            h0 = exp2_of_negative(dt[e] * rate[n, e]) * h[n, e] + dt[e] * x[e] * b
            h[n, e] = h0
            y[e] += c * h0


@njit(parallel=True, error_model="numpy", fastmath=FAST, cache=True)
def gated_scan_forward(  # type: ignore[no-untyped-def]
    x, projected, main_and_gate, step_weight, step_bias, rate, D, initial, y, final
):
    """Fill y (S, L, E) and final (S, N, E) as in `mbs_cli.models.gated_scan.gated_scan`.

    x (S, L, E); projected (S, L, R + 2 N); main_and_gate (S, L, 2 E); step_weight (R, E);
    step_bias, D (E,); rate (N, E), A times the binary logarithm of e; initial (S, N, E); all
    float32, C order.
    """
    steps, features = x.shape[1], x.shape[2]
    rank, states = step_weight.shape[0], rate.shape[0]
    for s in prange(x.shape[0]):
        h = final[s]
        h[:, :] = initial[s]
        dt = np.empty(features, np.float32)
        total = np.empty(features, np.float32)
        for t in range(steps):
            _step_sizes(projected[s, t, :rank], step_weight, step_bias, dt)
            for e in range(features):
                total[e] = D[e] * x[s, t, e]
            B = projected[s, t, rank : rank + states]
            C = projected[s, t, rank + states :]
            _advance(h, x[s, t], dt, rate, B, C, total)
            gate = main_and_gate[s, t, features:]
            for e in range(features):
                y[s, t, e] = total[e] * gate[e] * sigmoid(gate[e])
