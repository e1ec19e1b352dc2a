"""The selective scan of a Mamba block with its step sizes and its gate, both ways, for training.

Every value is read and written once, in the dtype of the matrix products around it (float32 or the
bits of bfloat16), and computed with in float32. States, decays and step sizes never leave a chunk
of CHUNK steps: the backward pass rebuilds them from the states at its border.

Letters: S sequences, L steps, E inner features, N states per feature, R rank of the step sizes.
`places`, `first` and `stop` as in `mbs_cli.models.kernels.convolution`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels import CHUNK
from mbs_cli.models.kernels.arithmetic import FAST, exp, sigmoid, silu_slope, softplus
from mbs_cli.models.kernels.bfloat16 import narrow, widen
from mbs_cli.models.kernels.lanes import LANES
from mbs_cli.models.kernels.scan_lanes import STATES, scan_steps
from mbs_cli.models.kernels.scan_lanes_backward import rebuild_steps, walk_back

_ONE, _LOG_2 = np.float32(1.0), np.float32(0.6931471805599453)


@njit(inline="always", fastmath=FAST)
def _step_sizes(projected, weight, bias, dt):  # type: ignore[no-untyped-def]
    """Set dt (at least E) to softplus of bias (E,) + the first R of projected weight (R, E)."""
    rank, features = weight.shape
    for e in range(features):
        dt[e] = bias[e]
    for r in range(rank):
        step = widen(projected[r])
        for e in range(features):
            dt[e] += step * weight[r, e]
    for e in range(features):
        dt[e] = softplus(dt[e])


@njit(inline="always", fastmath=FAST)  # as a call it would not vectorise
def _read_steps(inputs, row, stride, u, dt, B, C, y):  # type: ignore[no-untyped-def]
    """What a scan takes of the steps from `row` on, and in y the share that skips it."""
    main, projected, weight, bias, skip = inputs
    rank, features = weight.shape
    states = (projected.shape[1] - rank) // 2
    for i in range(u.shape[0]):
        _step_sizes(projected[row], weight, bias, dt[i])
        for e in range(features):
            u[i, e] = widen(main[row, e])
            y[i, e] = skip[e] * u[i, e]
        for n in range(states):
            B[i, n] = widen(projected[row, rank + n])
            C[i, n] = widen(projected[row, rank + states + n])
        row += stride


@njit(nogil=True, error_model="numpy", fastmath=FAST, cache=True)
def gated_scan(  # type: ignore[no-untyped-def]
    first, stop, places, main_and_gate, main, projected, step_weight, step_bias, rate, skip,
    y, borders,
):  # fmt: skip
    """Fill y (rows, E) and borders (S, 1 + chunks, N, E): the states before each chunk, after all.

    main_and_gate (rows, 2 E), of which the second half is the gate; main (rows, E), what is
    scanned; projected (rows, R + 2 N'): step sizes, B, C; step_weight (R, E), step_bias (E,); rate
    (N, E), A times the binary logarithm of e; skip (E,). N' is padded with zeros to N, a multiple
    of STATES, and E of rate and borders to a multiple of LANES.
    """
    first_row, sequence_stride, stride, steps = places
    features = step_weight.shape[1]
    states, padded = rate.shape
    inputs = (main, projected, step_weight, step_bias, skip)
    all_u, all_dt, all_scanned = np.zeros((3, CHUNK, padded), np.float32)
    all_B, all_C = np.zeros((2, CHUNK, states), np.float32)
    for s in range(first, stop):
        borders[s, 0] = 0.0
        for chunk in range(borders.shape[1] - 1):
            start = chunk * CHUNK
            count = min(CHUNK, steps - start)
            row = first_row + s * sequence_stride + start * stride
            u, dt, scanned = all_u[:count], all_dt[:count], all_scanned[:count]
            B, C = all_B[:count], all_C[:count]
            _read_steps(inputs, row, stride, u, dt, B, C, scanned)
            h = borders[s, chunk + 1]
            h[:, :] = borders[s, chunk]
            scan_steps(u, dt, rate, B, C, h, scanned)
            for i in range(count):
                for e in range(features):
                    gate = widen(main_and_gate[row, features + e])
                    y[row, e] = narrow(scanned[i, e] * gate * sigmoid(gate), y[row, e])
                row += stride


@njit(inline="always", fastmath=FAST)
def _before_gate(gates, dy, features, dscanned):  # type: ignore[no-untyped-def]
    """The gradient of the scan's output (E,) from that of its product with SiLU(gate).

    The gates are the second E of `gates`.
    """
    for e in range(features):
        gate = widen(gates[features + e])
        dscanned[e] = widen(dy[e]) * gate * sigmoid(gate)


@njit(inline="always", fastmath=FAST)
def _through_gate(gates, dy, scanned, y, dgates):  # type: ignore[no-untyped-def]
    """The product y (E,) of scan and SiLU(gate) again, and the gradient of the gate.

    Gates and their gradients are the second E of `gates` and `dgates`.
    """
    features = y.shape[0]
    for e in range(features):
        gate = widen(gates[features + e])
        y[e] = narrow(scanned[e] * gate * sigmoid(gate), y[e])
        slope = widen(dy[e]) * scanned[e] * silu_slope(gate)
        dgates[features + e] = narrow(slope, dgates[features + e])


@njit(inline="always", fastmath=FAST)
def _through_step(  # type: ignore[no-untyped-def]
    projected, weight, skip, u, dt, dscanned, dpushed, ddt, dmain, dprojected, dweight, dbias, dskip
):
    """The gradients of `_read_steps` but for B and C, from those of dt (in binary units) and dt u.

    Of one step; ddt is overwritten.
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
def _write_sums(sums, i, into):  # type: ignore[no-untyped-def]
    """Set into (N',) to the sums over the lanes of step i, as `walk_back` leaves them."""
    for n in range(into.shape[0]):
        lanes = sums[n // STATES, i * STATES + n % STATES]
        total = np.float32(0.0)
        for lane in range(LANES):
            total += lanes[lane]
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
    inputs = (main, projected, step_weight, step_bias, skip)
    all_u, all_dt, all_scanned, all_dscanned = np.zeros((4, CHUNK, padded), np.float32)
    all_dpushed, all_ddt = np.zeros((2, CHUNK, padded), np.float32)
    all_B, all_C = np.zeros((2, CHUNK, states), np.float32)
    decays, hs, sums_B, sums_C = np.empty((4, states // STATES, CHUNK * STATES, LANES), np.float32)
    h, dh = np.empty((2, states, padded), np.float32)
    for s in range(first, stop):
        dh[:, :] = 0.0
        dstep_weight[s, :, :] = 0.0
        dstep_bias[s, :] = 0.0
        dA[s, :, :] = 0.0
        dskip[s, :] = 0.0
        for chunk in range(borders.shape[1] - 2, -1, -1):
            start = chunk * CHUNK
            count = min(CHUNK, steps - start)
            row = first_row + s * sequence_stride + start * stride
            # Slices of the first axis alone, or LLVM could not tell that rows are contiguous.
            u, dt, B, C = all_u[:count], all_dt[:count], all_B[:count], all_C[:count]
            scanned, dscanned = all_scanned[:count], all_dscanned[:count]
            dpushed, ddt = all_dpushed[:count], all_ddt[:count]
            _read_steps(inputs, row, stride, u, dt, B, C, scanned)
            h[:, :] = borders[s, chunk]
            dpushed[:, :] = 0.0
            ddt[:, :] = 0.0
            sums_B[:] = 0.0
            sums_C[:] = 0.0
            for i in range(count):
                place = row + i * stride
                _before_gate(main_and_gate[place], dy[place], features, dscanned[i])
            for e in range(0, padded, LANES):
                f = e + LANES
                taken = (u[:, e:f], dt[:, e:f], rate[:, e:f], B, C)
                rebuild_steps(taken, h[:, e:f], scanned[:, e:f], decays, hs)
                walk_back(
                    taken, h[:, e:f], dscanned[:, e:f], decays, hs, dh[:, e:f], dA[s, :, e:f],
                    dpushed[:, e:f], ddt[:, e:f], sums_B, sums_C,
                )  # fmt: skip
            for i in range(count):
                _through_gate(
                    main_and_gate[row], dy[row], scanned[i], y[row], dmain_and_gate[row]
                )  # fmt: skip
                _through_step(
                    projected[row], step_weight, skip, u[i], dt[i], dscanned[i], dpushed[i], ddt[i],
                    dmain[row], dprojected[row], dstep_weight[s], dstep_bias[s], dskip[s],
                )  # fmt: skip
                _write_sums(sums_B, i, dprojected[row, rank : rank + known])
                _write_sums(sums_C, i, dprojected[row, rank + known :])
                row += stride
