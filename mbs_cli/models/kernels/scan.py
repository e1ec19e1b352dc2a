"""The selective scan as fused numba kernels: nothing of size L * D * N ever exists in memory.

Letters: S sequences, L steps, D features, N states per feature. Sequences run in parallel, each
held as (N, D) so that the innermost loop runs over D and vectorises. The forward kernel keeps the
state at the border of every chunk of `CHUNK` steps; the backward kernel rebuilds one chunk of
states and decays in a local buffer and walks it backwards. No sum crosses sequences inside a
kernel, so results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from mbs_cli.models.kernels import CHUNK
from mbs_cli.models.kernels.arithmetic import FAST, exp


@njit(parallel=True, fastmath=FAST, cache=True)
def scan_forward(x, dt, A, B, C, D, initial, y, borders, final):  # type: ignore[no-untyped-def]
    """Fill y (S, L, D), borders (S, chunks, N, D) and final (S, N, D).

    x, dt (S, L, D); A (N, D); B, C (S, L, N); D (D,); initial (S, N, D); all float32, C order.
    `borders` may have no chunks: then none is kept.
    """
    steps, features, states = x.shape[1], x.shape[2], A.shape[0]
    keep = borders.shape[1] > 0
    for s in prange(x.shape[0]):
        h = final[s]
        h[:, :] = initial[s]
        dtx = np.empty(features, np.float32)
        for t in range(steps):
            if keep and t % CHUNK == 0:
                borders[s, t // CHUNK] = h
            for d in range(features):
                dtx[d] = dt[s, t, d] * x[s, t, d]
                y[s, t, d] = D[d] * x[s, t, d]
            for n in range(states):
                b = B[s, t, n]
                c = C[s, t, n]
                for d in range(features):
                    state = exp(dt[s, t, d] * A[n, d]) * h[n, d] + dtx[d] * b
                    h[n, d] = state
                    y[s, t, d] += c * state


@njit(inline="always", fastmath=FAST)
def _rebuild_chunk(x, dt, A, B, start, stop, border, decays, hs):  # type: ignore[no-untyped-def]
    """States before each step of [start, stop) in hs[0:], the last one after; decays beside."""
    hs[0] = border
    for t in range(start, stop):
        i = t - start
        for n in range(A.shape[0]):
            b = B[t, n]
            for d in range(A.shape[1]):
                decay = exp(dt[t, d] * A[n, d])
                decays[i, n, d] = decay
                hs[i + 1, n, d] = decay * hs[i, n, d] + dt[t, d] * x[t, d] * b


@njit(parallel=True, fastmath=FAST, cache=True)
def scan_backward(  # type: ignore[no-untyped-def]
    x, dt, A, B, C, D, borders, dy, dfinal, dx, ddt, dA, dB, dC, dD, dinitial
):
    """Fill the gradients dx, ddt (S, L, D), dB, dC (S, L, N), dinitial (S, N, D).

    dA (S, N, D) and dD (S, D) hold one part per sequence, to be added up by the caller.
    """
    steps, features, states = x.shape[1], x.shape[2], A.shape[0]
    for s in prange(x.shape[0]):
        decays = np.empty((CHUNK, states, features), np.float32)
        hs = np.empty((CHUNK + 1, states, features), np.float32)
        ddtx = np.empty(features, np.float32)
        dh = dinitial[s]
        dh[:, :] = dfinal[s]
        dA[s, :, :] = 0.0
        dD[s, :] = 0.0
        for chunk in range(borders.shape[1] - 1, -1, -1):
            start = chunk * CHUNK
            stop = min(start + CHUNK, steps)
            _rebuild_chunk(x[s], dt[s], A, B[s], start, stop, borders[s, chunk], decays, hs)
            for t in range(stop - 1, start - 1, -1):
                i = t - start
                for d in range(features):
                    ddtx[d] = 0.0
                    ddt[s, t, d] = 0.0
                    dD[s, d] += dy[s, t, d] * x[s, t, d]
                for n in range(states):
                    b = B[s, t, n]
                    c = C[s, t, n]
                    sum_b = np.float32(0.0)
                    sum_c = np.float32(0.0)
                    for d in range(features):
                        g = dh[n, d] + c * dy[s, t, d]
                        sum_c += dy[s, t, d] * hs[i + 1, n, d]
                        sum_b += g * dt[s, t, d] * x[s, t, d]
                        ddtx[d] += g * b
                        g *= decays[i, n, d]
                        through = g * hs[i, n, d]
                        ddt[s, t, d] += through * A[n, d]
                        dA[s, n, d] += through * dt[s, t, d]
                        dh[n, d] = g
                    dB[s, t, n] = sum_b
                    dC[s, t, n] = sum_c
                for d in range(features):
                    dx[s, t, d] = ddtx[d] * dt[s, t, d] + D[d] * dy[s, t, d]
                    ddt[s, t, d] += ddtx[d] * x[s, t, d]
