"""The backward pass of a selective scan for as many features as a register holds, in LLVM code.

Letters: L steps, at least 1, N states per feature, G groups of STATES states. All matrices hold
float32; those of a group have a row for each step and state, step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from mbs_cli.models.kernels.lanes import INDEX, VECTOR, Matrix, loop
from mbs_cli.models.kernels.scan_lanes import (
    FIRST,
    STATES,
    build_scan,
    fma,
    matrices,
    share,
    state_row,
)


@njit(inline="always")
def rebuild_steps(taken, h, y, decays, hs):  # type: ignore[no-untyped-def]
    """As `scan_lanes.scan_steps`, keeping what `walk_back` needs, of LANES features.

    taken: x, dt, rate, B, C as there; h (N, LANES), y (L, LANES). decays (G, L * STATES, LANES) is
    filled, and so is hs (G, L * STATES, LANES), with the states before every step.
    """
    x, dt, rate, B, C = taken
    for n in range(0, rate.shape[0], STATES):
        m, group = n + STATES, n // STATES
        _rebuild(  # type: ignore[call-arg]
            x, dt, rate[n:m], B[:, n:m], C[:, n:m], h[n:m], y, decays[group], hs[group]
        )


@njit(inline="always")
def walk_back(  # type: ignore[no-untyped-def]
    taken, h, dy, decays, hs, dh, dA, dpushed, ddt, sums_B, sums_C
):
    """The steps from the last to the first, after `rebuild_steps` of the same features.

    dy (L, LANES); dh (N, LANES) is taken from after the last step to before the first. Added to are
    dA (N, LANES), dpushed (L, LANES) of dt x, ddt (L, LANES), in units of rate, and sums_B and
    sums_C (G, L * STATES, LANES), whose sums over the lanes are dB and dC.
    """
    x, dt, rate, B, C = taken
    for n in range(0, rate.shape[0], STATES):
        m, group = n + STATES, n // STATES
        _walk_back(  # type: ignore[call-arg]
            x, dt, rate[n:m], B[:, n:m], C[:, n:m], h[n:m], dy, decays[group], hs[group], dh[n:m],
            dA[n:m], dpushed, ddt, sums_B[group], sums_C[group],
        )  # fmt: skip


@intrinsic
def _rebuild(  # type: ignore[no-untyped-def]
    _typing_context, x, dt, rate, B, C, h, y, decays, hs
):
    """`rebuild_steps` of STATES states."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = matrices(context, builder, signature, arguments)
        build_scan(builder, given[:-2], kept=given[-2:])
        return context.get_dummy_value()

    return types.void(x, dt, rate, B, C, h, y, decays, hs), codegen


@intrinsic
def _walk_back(  # type: ignore[no-untyped-def]
    _typing_context, x, dt, rate, B, C, h, dy, decays, hs, dh, dA, dpushed, ddt, sums_B, sums_C
):
    """`walk_back` of STATES states."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _build_walk(builder, matrices(context, builder, signature, arguments))
        return context.get_dummy_value()

    kinds = (x, dt, rate, B, C, h, dy, decays, hs, dh, dA, dpushed, ddt, sums_B, sums_C)
    return types.void(*kinds), codegen


def _build_walk(builder: Any, given: Sequence[Matrix]) -> None:
    x, dt, rate, B, C, h, dy, decays, hs, dh, dA, dpushed, ddt, sums_B, sums_C = given
    numbers = range(STATES)
    rates = [rate.load(INDEX(n), FIRST, VECTOR) for n in numbers]
    start = [matrix.load(INDEX(n), FIRST, VECTOR) for matrix in (dh, dA, h) for n in numbers]
    last = builder.sub(x.rows, INDEX(1))
    with loop(builder, x.rows, start) as (turn, current, turned):
        t = builder.sub(last, turn)
        gradients, rate_sums, after = (current[i * STATES : (i + 1) * STATES] for i in range(3))
        dy_t, step = dy.load(t, FIRST, VECTOR), dt.load(t, FIRST, VECTOR)
        pushed = builder.fmul(step, x.load(t, FIRST, VECTOR))
        of_pushed, of_step = (matrix.load(t, FIRST, VECTOR) for matrix in (dpushed, ddt))
        befores = []
        for n in numbers:
            row = state_row(builder, t, n)
            g = fma(builder, share(builder, C, t, n), dy_t, gradients[n])
            _add_to(builder, sums_C, row, dy_t, after[n])
            _add_to(builder, sums_B, row, g, pushed)
            of_pushed = fma(builder, g, share(builder, B, t, n), of_pushed)
            gradients[n] = builder.fmul(g, decays.load(row, FIRST, VECTOR))
            befores.append(hs.load(row, FIRST, VECTOR))
            through = builder.fmul(gradients[n], befores[n])
            of_step = fma(builder, through, rates[n], of_step)
            rate_sums[n] = fma(builder, through, step, rate_sums[n])
        dpushed.store(t, FIRST, of_pushed)
        ddt.store(t, FIRST, of_step)
        turned.extend((*gradients, *rate_sums, *befores))
    for n in numbers:
        dh.store(INDEX(n), FIRST, turned[n])
        dA.store(INDEX(n), FIRST, turned[STATES + n])


def _add_to(builder: Any, matrix: Matrix, row: Any, a: Any, b: Any) -> None:
    matrix.store(row, FIRST, fma(builder, a, b, matrix.load(row, FIRST, VECTOR)))
