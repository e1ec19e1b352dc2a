"""What lies between the matrix products of a Mamba block, forwards and backwards, for training.

The convolution, and the selective scan with its step sizes and its gate. Each reads and writes
every value once, in the dtype of the products: all that they share is computed in float32 from
one chunk of steps to the next. States, decays and step sizes never leave a chunk: the backward
pass rebuilds them from the state at its border.

Letters: S sequences, L steps, E inner features, N states per feature, R rank of the step sizes, W
taps. Rows are the steps of all sequences: step t of sequence s is the row
first_row + s * sequence_stride + t * step_stride of `places` = (first_row, sequence_stride,
step_stride, steps). Kernels do the sequences from `first` to before `stop`; sums over rows come in
one part for each sequence, so that no result depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels import CHUNK
from mbs_cli.models.kernels.arithmetic import FAST, exp, sigmoid, softplus
from mbs_cli.models.kernels.bfloat16 import narrow, widen
from mbs_cli.models.kernels.lanes import LANES
from mbs_cli.models.kernels.scan_lanes import make_scan
from mbs_cli.models.kernels.scan_lanes_backward import make_back, make_rebuild

STATES = 4  # that go together through the scan
_ONE, _LOG_2 = np.float32(1.0), np.float32(0.6931471805599453)
_scan, _rebuild, _back = make_scan(STATES), make_rebuild(STATES), make_back(STATES)


@njit(inline="always", fastmath=FAST)
def _preactivation(main_and_gate, weight, bias, row, stride, t, out):  # type: ignore[no-untyped-def]
    """Set out (E,) to bias + the taps over the step t at `row` and those before it."""
    taps, features = weight.shape
    for e in range(features):
        out[e] = bias[e]
    for tap in range(max(0, taps - 1 - t), taps):
        source = row + (tap - (taps - 1)) * stride
        for e in range(features):
            out[e] += weight[tap, e] * widen(main_and_gate[source, e])


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def convolve(first, stop, places, main_and_gate, weight, bias, main):  # type: ignore[no-untyped-def]
    """Fill main (rows, E) with SiLU of the taps over the first half of main_and_gate (rows, 2 E)."""
    first_row, sequence_stride, stride, steps = places
    features = weight.shape[1]
    before = np.empty(features, np.float32)
    for s in range(first, stop):
        for t in range(steps):
            row = first_row + s * sequence_stride + t * stride
            _preactivation(main_and_gate, weight, bias, row, stride, t, before)
            for e in range(features):
                main[row, e] = narrow(before[e] * sigmoid(before[e]), main[row, e])


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def convolve_backward(  # type: ignore[no-untyped-def]
    first, stop, places, main_and_gate, weight, bias, dmain, more, dmain_and_gate, dweight, dbias
):
    """Fill the first half of dmain_and_gate (rows, 2 E), dweight (S, W, E) and dbias (S, E).

    dmain and more (rows, E) add up to the gradient of what `convolve` gives.
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
                _preactivation(main_and_gate, weight, bias, row, stride, t, g)
                for e in range(features):
                    share = sigmoid(g[e])
                    slope = share * (_ONE + g[e] * (_ONE - share))
                    g[e] = (widen(dmain[row, e]) + widen(more[row, e])) * slope
                    dbias[s, e] += g[e]
                for tap in range(max(0, taps - 1 - t), taps):
                    source = row + (tap - (taps - 1)) * stride
                    for e in range(features):
                        dweight[s, tap, e] += g[e] * widen(main_and_gate[source, e])
            else:
                g[:] = 0.0
            done = t - (taps - 1)
            if done < 0:
                continue
            total[:] = 0.0
            for tap in range(taps):
                later = recent[(done + taps - 1 - tap) % taps]
                for e in range(features):
                    total[e] += weight[tap, e] * later[e]
            row -= (taps - 1) * stride
            for e in range(features):
                dmain_and_gate[row, e] = narrow(total[e], dmain_and_gate[row, e])


@njit(inline="always", fastmath=FAST)
def _step_sizes(projected, weight, bias, dt):  # type: ignore[no-untyped-def]
    """Set dt (at least E) to softplus of bias (E,) + the first R of projected times weight (R, E)."""
    rank, features = weight.shape
    for e in range(features):
        dt[e] = bias[e]
    for r in range(rank):
        step = widen(projected[r])
        for e in range(features):
            dt[e] += step * weight[r, e]
    for e in range(features):
        dt[e] = softplus(dt[e])


@njit(inline="always", fastmath=FAST)
def _read_step(main, projected, weight, bias, skip, u, dt, B, C, y):  # type: ignore[no-untyped-def]
    """What a step of the scan takes, in float32 and padded, and the skipping share of its output."""
    rank, features = weight.shape
    states = (projected.shape[0] - rank) // 2
    _step_sizes(projected, weight, bias, dt)
    for e in range(features):
        u[e] = widen(main[e])
        y[e] = skip[e] * u[e]
    for n in range(states):
        B[n] = widen(projected[rank + n])
        C[n] = widen(projected[rank + states + n])


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def gated_scan(  # type: ignore[no-untyped-def]
    first, stop, places, main_and_gate, main, projected, step_weight, step_bias, rate, skip,
    y, borders,
):  # fmt: skip
    """Fill y (rows, E) and borders (S, 1 + chunks, N, E): the states before each chunk, after all.

    main (rows, E); projected (rows, R + 2 N'): step sizes, B, C; step_weight (R, E), step_bias (E,);
    rate (N, E), A times the binary logarithm of e; skip (E,). N' is padded with zeros to N, a
    multiple of STATES, and E of rate and borders to a multiple of LANES.
    """
    first_row, sequence_stride, stride, steps = places
    features = step_weight.shape[1]
    states, padded = rate.shape
    dt, u, scanned = np.zeros((3, CHUNK, padded), np.float32)
    B, C = np.zeros((2, CHUNK, states), np.float32)
    for s in range(first, stop):
        borders[s, 0] = 0.0
        for chunk in range(borders.shape[1] - 1):
            start = chunk * CHUNK
            count = min(CHUNK, steps - start)
            origin = first_row + s * sequence_stride + start * stride
            for i in range(count):
                row = origin + i * stride
                _read_step(
                    main[row], projected[row], step_weight, step_bias, skip,
                    u[i], dt[i], B[i], C[i], scanned[i],
                )  # fmt: skip
            h = borders[s, chunk + 1]
            h[:, :] = borders[s, chunk]
            for e in range(0, padded, LANES):
                f = e + LANES
                for n in range(0, states, STATES):
                    m = n + STATES
                    _scan(
                        u[:count, e:f], dt[:count, e:f], rate[n:m, e:f], B[:count, n:m],
                        C[:count, n:m], h[n:m, e:f], scanned[:count, e:f],
                    )  # fmt: skip
            for i in range(count):
                row = origin + i * stride
                for e in range(features):
                    gate = widen(main_and_gate[row, features + e])
                    y[row, e] = narrow(scanned[i, e] * gate * sigmoid(gate), y[row, e])


@njit(inline="always", fastmath=FAST)
def _through_gate(gates, scanned, dy, y, dgates, dscanned):  # type: ignore[no-untyped-def]
    """The product y (E,) of scan and SiLU(gate) again, and the gradients of both from its own."""
    for e in range(y.shape[0]):
        gate, given = widen(gates[e]), widen(dy[e])
        share = sigmoid(gate)
        opened = gate * share
        y[e] = narrow(scanned[e] * opened, y[e])
        slope = share * (_ONE + gate * (_ONE - share))
        dgates[e] = narrow(given * scanned[e] * slope, dgates[e])
        dscanned[e] = given * opened


@njit(inline="always", fastmath=FAST)
def _through_step(  # type: ignore[no-untyped-def]
    projected, weight, skip, u, dt, dscanned, dpushed, ddt, dmain, dprojected, dweight, dbias, dskip
):
    """The gradients of `_read_step` but for B and C, from those of dt (in binary units) and dt u.

    ddt is overwritten.
    """
    rank, features = weight.shape
    for e in range(features):
        dskip[e] += dscanned[e] * u[e]
        dmain[e] = narrow(dpushed[e] * dt[e] + skip[e] * dscanned[e], dmain[e])
        slope = _ONE - exp(-dt[e])  # of softplus, in terms of its value
        ddt[e] = (ddt[e] * _LOG_2 + dpushed[e] * u[e]) * slope
        dbias[e] += ddt[e]
    for r in range(rank):
        step = widen(projected[r])
        total = np.float32(0.0)
        for e in range(features):
            total += ddt[e] * weight[r, e]
            dweight[r, e] += ddt[e] * step
        dprojected[r] = narrow(total, dprojected[r])


@njit(inline="always", fastmath=FAST)
def _sum_lanes(sums, into):  # type: ignore[no-untyped-def]
    """Set into (N',) to the sums over the rows of sums (at least N', LANES)."""
    for n in range(into.shape[0]):
        total = np.float32(0.0)
        for lane in range(LANES):
            total += sums[n, lane]
        into[n] = narrow(total, into[n])


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def gated_scan_backward(  # type: ignore[no-untyped-def]
    first, stop, places, main_and_gate, main, projected, step_weight, step_bias, rate, skip,
    borders, dy, y, dmain_and_gate, dmain, dprojected, dstep_weight, dstep_bias, dA, dskip,
):  # fmt: skip
    """Fill y as `gated_scan` did, and the gradients of what it took from dy (rows, E).

    Of dmain_and_gate (rows, 2 E) the second half. dstep_weight (S, R, E), dstep_bias (S, E), dA
    (S, N, E), padded as rate, and dskip (S, E) in parts.
    """
    first_row, sequence_stride, stride, steps = places
    rank, features = step_weight.shape
    states, padded = rate.shape
    known = (projected.shape[1] - rank) // 2
    u, dt, pushed, scanned, dscanned, dpushed, ddt = np.zeros((7, CHUNK, padded), np.float32)
    B, C = np.zeros((2, CHUNK, states), np.float32)
    decays, hs = np.empty((2, states // STATES, CHUNK * STATES, LANES), np.float32)
    sums = np.empty((2, states // STATES, CHUNK * STATES, LANES), np.float32)
    h, dh = np.empty((2, states, padded), np.float32)
    for s in range(first, stop):
        dh[:, :] = 0.0
        for parts in (dstep_weight[s], dA[s]):
            parts[:, :] = 0.0
        for parts in (dstep_bias[s], dskip[s]):
            parts[:] = 0.0
        for chunk in range(borders.shape[1] - 2, -1, -1):
            start = chunk * CHUNK
            count = min(CHUNK, steps - start)
            origin = first_row + s * sequence_stride + start * stride
            for i in range(count):
                row = origin + i * stride
                _read_step(
                    main[row], projected[row], step_weight, step_bias, skip,
                    u[i], dt[i], B[i], C[i], scanned[i],
                )  # fmt: skip
                for e in range(features):
                    pushed[i, e] = dt[i, e] * u[i, e]
            h[:, :] = borders[s, chunk]
            sums[:] = 0.0
            dpushed[:, :] = 0.0
            ddt[:, :] = 0.0
            for e in range(0, padded, LANES):
                f = e + LANES
                for group in range(states // STATES):
                    n, m = group * STATES, (group + 1) * STATES
                    _rebuild(
                        u[:count, e:f], dt[:count, e:f], rate[n:m, e:f], B[:count, n:m],
                        C[:count, n:m], h[n:m, e:f], scanned[:count, e:f], decays[group], hs[group],
                    )  # fmt: skip
                for i in range(count):
                    row = origin + i * stride
                    end = min(f, features)
                    _through_gate(
                        main_and_gate[row, features + e : features + end], scanned[i, e:end],
                        dy[row, e:end], y[row, e:end],
                        dmain_and_gate[row, features + e : features + end], dscanned[i, e:end],
                    )  # fmt: skip
                for group in range(states // STATES):
                    n, m = group * STATES, (group + 1) * STATES
                    _back(
                        dscanned[:count, e:f], dt[:count, e:f], pushed[:count, e:f],
                        rate[n:m, e:f], B[:count, n:m], C[:count, n:m], h[n:m, e:f],
                        decays[group], hs[group], dh[n:m, e:f], dA[s, n:m, e:f],
                        dpushed[:count, e:f], ddt[:count, e:f], sums[0, group], sums[1, group],
                    )  # fmt: skip
            for i in range(count):
                row = origin + i * stride
                _through_step(
                    projected[row], step_weight, skip, u[i], dt[i], dscanned[i], dpushed[i], ddt[i],
                    dmain[row], dprojected[row], dstep_weight[s], dstep_bias[s], dskip[s],
                )  # fmt: skip
                for side in range(2):
                    for group in range(states // STATES):
                        n = group * STATES
                        some = sums[side, group, i * STATES : (i + 1) * STATES]
                        place = rank + side * known + n
                        _sum_lanes(some, dprojected[row, place : place + min(STATES, known - n)])
