"""One direction of a Mamba layer in one pass over the steps, for inference.

Norm, input projection, convolution, selective scan, gate and output projection of a few steps
follow each other while all that lies between them is in the CPU's caches.
Letters: S sequences, L steps, D features, E inner features, N states per feature, R rank of the
step sizes, W taps. Products take and give their factors as `mbs_cli.models.kernels.product`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mbs_cli.models.kernels.arithmetic import FAST, sigmoid, softplus
from mbs_cli.models.kernels.product import (
    padded_columns,
    padded_rows,
    product,
    tile_rows,
    write_rows,
)
from mbs_cli.models.kernels.rows import normalise
from mbs_cli.models.kernels.scan_lanes import scan_steps

STEPS = 32  # that go together


@njit(error_model="numpy", fastmath=FAST)
def _convolve(x, weight, bias, main):  # type: ignore[no-untyped-def]
    """Fill main (L, E) with SiLU of the taps over the rows of x (W - 1 + L, at least E) + bias."""
    taps, features = weight.shape
    for t in range(main.shape[0]):
        row = main[t]
        for e in range(features):
            row[e] = bias[e] + weight[0, e] * x[t, e]
        for tap in range(1, taps - 1):
            for e in range(features):
                row[e] += weight[tap, e] * x[t + tap, e]
        for e in range(features):
            total = row[e] + weight[taps - 1, e] * x[t + taps - 1, e]
            row[e] = total * sigmoid(total)


@njit(error_model="numpy", fastmath=FAST)
def _step_sizes(dt):  # type: ignore[no-untyped-def]
    """Softplus of dt (L, E) in place."""
    for t in range(dt.shape[0]):
        for e in range(dt.shape[1]):
            dt[t, e] = softplus(dt[t, e])


@njit(error_model="numpy", fastmath=FAST)
def _gate(main_and_gate, skip, main, y):  # type: ignore[no-untyped-def]
    """Set y (L, E) to (y + skip main) SiLU(gate), the second half of main_and_gate (L, 2 E)."""
    features = main.shape[1]
    for t in range(main.shape[0]):
        for e in range(features):
            gate = main_and_gate[t, features + e]
            y[t, e] = (y[t, e] + skip[e] * main[t, e]) * gate * sigmoid(gate)


@njit(error_model="numpy", fastmath=FAST)
def _run_sequence(  # type: ignore[no-untyped-def]
    x, first_row, stride, steps, norm, projections, convolution, dynamics, past, state, base, y
):
    """As `run_mamba_layer`, of one sequence: past (W - 1, E), state (N, E), rows `stride` apart."""
    gain, shift = norm
    in_weight, in_bias, x_weight, x_bias, out_weight, out_bias = projections
    conv_weight, conv_bias = convolution
    step_weight, step_bias, rate, skip = dynamics
    features, inner, history = x.shape[1], conv_weight.shape[1], conv_weight.shape[0] - 1
    rank, states = step_weight.shape[0], rate.shape[0]
    size = padded_rows(min(STEPS, steps))
    normed = np.zeros((size, padded_columns(features)), np.float32)
    operand = np.zeros((size, in_weight.shape[0]), in_weight.dtype)
    main_operand = np.zeros((size, x_weight.shape[0]), x_weight.dtype)
    main = np.zeros((size, inner), np.float32)
    dt = np.zeros((size, inner), np.float32)
    scanned = np.zeros((size, inner), np.float32)
    main_and_gate = np.zeros((history + size, in_weight.shape[1]), np.float32)
    projected = np.zeros((size, x_weight.shape[1]), np.float32)
    out = np.zeros((size, out_weight.shape[1]), np.float32)
    h = np.zeros((states, inner), np.float32)
    known_states, known = state.shape
    main_and_gate[:history, :known] = past
    h[:known_states, :known] = state
    for first in range(0, steps, STEPS):
        count = min(STEPS, steps - first)
        rows = tile_rows(count)
        start = first_row + first * stride
        for i in range(count):
            normalise(x[start + i * stride], gain, shift, normed[i, :features])
        write_rows(normed[:count], operand)
        product(operand[:rows], in_weight, in_bias, main_and_gate[history:])
        _convolve(main_and_gate, conv_weight, conv_bias, main[:count])
        write_rows(main[:count], main_operand)
        product(main_operand[:rows], x_weight, x_bias, projected)
        product(projected[:rows, :rank], step_weight, step_bias, dt)
        _step_sizes(dt[:count])
        B, C = projected[:, rank : rank + states], projected[:, rank + states :]
        scanned[:count] = 0.0
        scan_steps(main[:count], dt, rate, B, C, h, scanned)
        _gate(main_and_gate[history:], skip, main[:count], scanned)
        write_rows(scanned[:count], main_operand)
        product(main_operand[:rows], out_weight, out_bias, out)
        for i in range(count):
            before, after = base[start + i * stride], y[start + i * stride]
            for d in range(features):
                after[d] = before[d] + out[i, d]
        main_and_gate[:history, :inner] = main_and_gate[count : count + history, :inner]
    past[:, :] = main_and_gate[:history, :known]
    state[:, :] = h[:known_states, :known]


@njit(nogil=True, error_model="numpy", cache=True)
def run_mamba_layer(  # type: ignore[no-untyped-def]
    first, stop, x, places, norm, projections, convolution, dynamics, past, state, base, y
):
    """Fill y (rows, D) with base (rows, D) + what the layer makes of x (rows, D).

    places: the first row, how far the next sequence is from it, how far the next step, and how
    many steps there are. Only the sequences from `first` to before `stop` are run.
    norm: gain, shift (D,). projections: those from D to 2 E features, from E to R + 2 N and from
    E to D, of each a weight in words and a bias. convolution: weight (W, E), bias (E,). dynamics:
    weight (R, E) and bias (E,) of the step sizes; rate (N, E), A times the binary logarithm of e;
    skip (E,). past (S, W - 1, E), the inputs of the convolution before the first step, and state
    (S, N, E) are left as they are after the last one. E is padded, N to a multiple of STATES, but
    not in these two.
    """
    first_row, sequence_stride, step_stride, steps = places
    for s in range(first, stop):
        row = first_row + s * sequence_stride
        _run_sequence(
            x, row, step_stride, steps, norm, projections, convolution, dynamics, past[s],
            state[s], base, y,
        )  # fmt: skip
