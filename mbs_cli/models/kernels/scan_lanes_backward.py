"""The backward pass of a selective scan for as many features as a register holds, in LLVM code.

Letters: L steps, at least 1, E features, N states per feature. All matrices hold float32; those of
states have a row for each step and state, step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import types
from numba.extending import intrinsic

from mbs_cli.models.kernels.lanes import INDEX, VECTOR, Matrix, loop
from mbs_cli.models.kernels.scan_lanes import exp2_of_negative, fma, share

_FIRST = INDEX(0)


def make_rebuild(states: int) -> Any:
    """A function for kernels: `scan_lanes.make_scan`, which also keeps what `make_back` needs.

    x, dt, y (L, LANES); rate, h (states, LANES); B, C (L, states). decays (L * states, LANES) is
    filled, and so is hs (L * states, LANES) with the states before every step.
    """

    @intrinsic
    def rebuild(  # type: ignore[no-untyped-def]
        _typing_context, x, dt, rate, B, C, h, y, decays, hs
    ):
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            main, step, rates, push, pull, state, out, kept_decays, kept_states = _matrices(
                context, builder, signature, arguments
            )
            numbers = range(states)
            decay_rates = [rates.load(INDEX(n), _FIRST, VECTOR) for n in numbers]
            before = [state.load(INDEX(n), _FIRST, VECTOR) for n in numbers]
            with loop(builder, main.rows, before) as (t, current, after):
                u = step.load(t, _FIRST, VECTOR)
                pushed = builder.fmul(u, main.load(t, _FIRST, VECTOR))
                total = out.load(t, _FIRST, VECTOR)
                for n in numbers:
                    row = _row(builder, t, n, states)
                    decay = exp2_of_negative(builder, builder.fmul(u, decay_rates[n]))
                    kept_decays.store(row, _FIRST, decay)
                    kept_states.store(row, _FIRST, current[n])
                    added = builder.fmul(pushed, share(builder, push, t, n))
                    after.append(fma(builder, decay, current[n], added))
                    total = fma(builder, after[n], share(builder, pull, t, n), total)
                out.store(t, _FIRST, total)
            for n in numbers:
                state.store(INDEX(n), _FIRST, after[n])
            return context.get_dummy_value()

        return types.void(x, dt, rate, B, C, h, y, decays, hs), codegen

    return rebuild


def make_back(states: int) -> Any:
    """A function for kernels: the steps from the last to the first, of so many states.

    dy, dt, pushed (L, LANES), pushed being dt x; rate, h, the states after the last step, dh and dA
    (states, LANES); B, C (L, states); decays, hs as `make_rebuild` leaves them. dh is taken to
    before the first step. Added to are dA, dpushed (L, LANES), ddt (L, LANES), in units of rate,
    and sum_b and sum_c (L * states, LANES), whose sums over the lanes are dB and dC.
    """

    @intrinsic
    def back(  # type: ignore[no-untyped-def]
        _typing_context, dy, dt, pushed, rate, B, C, h, decays, hs, dh, dA, dpushed, ddt, sum_b, sum_c
    ):
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            given, step, pushes, rates, push, pull, state, kept_decays, kept_states, *outputs = (
                _matrices(context, builder, signature, arguments)
            )
            dstate, drate, dpushes, dstep, sums_b, sums_c = outputs
            numbers = range(states)
            decay_rates = [rates.load(INDEX(n), _FIRST, VECTOR) for n in numbers]
            start = [
                matrix.load(INDEX(n), _FIRST, VECTOR)
                for matrix in (dstate, drate, state)
                for n in numbers
            ]
            last = builder.sub(given.rows, INDEX(1))
            with loop(builder, given.rows, start) as (turn, current, turned):
                t = builder.sub(last, turn)
                gradients, rate_sums, after = (
                    current[i * states : (i + 1) * states] for i in range(3)
                )
                y, u, p = (m.load(t, _FIRST, VECTOR) for m in (given, step, pushes))
                of_pushed, of_step = (m.load(t, _FIRST, VECTOR) for m in (dpushes, dstep))
                new: tuple[list[Any], ...] = ([], [], [])
                for n in numbers:
                    row = _row(builder, t, n, states)
                    g = fma(builder, share(builder, pull, t, n), y, gradients[n])
                    _add_to(builder, sums_c, row, y, after[n])
                    _add_to(builder, sums_b, row, g, p)
                    of_pushed = fma(builder, g, share(builder, push, t, n), of_pushed)
                    g = builder.fmul(g, kept_decays.load(row, _FIRST, VECTOR))
                    before = kept_states.load(row, _FIRST, VECTOR)
                    through = builder.fmul(g, before)
                    of_step = fma(builder, through, decay_rates[n], of_step)
                    for values, value in zip(
                        new, (g, fma(builder, through, u, rate_sums[n]), before), strict=True
                    ):
                        values.append(value)
                dpushes.store(t, _FIRST, of_pushed)
                dstep.store(t, _FIRST, of_step)
                turned.extend(value for values in new for value in values)
            for n in numbers:
                dstate.store(INDEX(n), _FIRST, turned[n])
                drate.store(INDEX(n), _FIRST, turned[states + n])
            return context.get_dummy_value()

        kinds = (dy, dt, pushed, rate, B, C, h, decays, hs, dh, dA, dpushed, ddt, sum_b, sum_c)
        return types.void(*kinds), codegen

    return back


def _matrices(context: Any, builder: Any, signature: Any, arguments: Any) -> Sequence[Matrix]:
    kinds_and_values = zip(signature.args, arguments, strict=True)
    return [Matrix(context, builder, kind, value) for kind, value in kinds_and_values]


def _row(builder: Any, t: Any, n: int, states: int) -> Any:
    return builder.add(builder.mul(t, INDEX(states)), INDEX(n))


def _add_to(builder: Any, matrix: Matrix, row: Any, a: Any, b: Any) -> None:
    matrix.store(row, _FIRST, fma(builder, a, b, matrix.load(row, _FIRST, VECTOR)))
