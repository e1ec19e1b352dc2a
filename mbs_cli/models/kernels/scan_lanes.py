"""The steps of a selective scan for as many features as a register holds, in LLVM code.

Letters: L steps, at least 1, E features, N states per feature. All matrices hold float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from mbs_cli.models.kernels.arithmetic import EXP2_COEFFICIENTS
from mbs_cli.models.kernels.lanes import INDEX, LANES, VECTOR, WORD, Matrix, loop, vector_function

STATES = 4  # that go together through the scan
FIRST = INDEX(0)
_WORDS = ir.VectorType(WORD, LANES)
_LEAST_EXPONENT = -125.0  # below it a decay is held there: next to nothing


@njit(inline="always")
def scan_steps(x, dt, rate, B, C, h, y):  # type: ignore[no-untyped-def]
    """Add C h to y (L, E), h (N, E) being advanced over all steps.

    x, dt (L, at least E); rate (N, E), A times the binary logarithm of e; B, C (L, at least N). E
    is a multiple of LANES, N of STATES.
    """
    states, features = rate.shape
    for e in range(0, features, LANES):
        f = e + LANES
        for n in range(0, states, STATES):
            m = n + STATES
            _scan(  # type: ignore[call-arg]
                x[:, e:f], dt[:, e:f], rate[n:m, e:f], B[:, n:m], C[:, n:m], h[n:m, e:f], y[:, e:f]
            )


@intrinsic
def _scan(_typing_context, x, dt, rate, B, C, h, y):  # type: ignore[no-untyped-def]
    """`scan_steps` of LANES features and STATES states."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        build_scan(builder, matrices(context, builder, signature, arguments))
        return context.get_dummy_value()

    return types.void(x, dt, rate, B, C, h, y), codegen


def build_scan(builder: Any, taken: Sequence[Matrix], kept: Sequence[Matrix] = ()) -> None:
    """Build the steps of `_scan`; two matrices may keep the decays, and the states before a step.

    Their rows are as told by `state_row`.
    """
    x, dt, rate, B, C, h, y = taken
    numbers = range(STATES)
    rates = [rate.load(INDEX(n), FIRST, VECTOR) for n in numbers]
    before = [h.load(INDEX(n), FIRST, VECTOR) for n in numbers]
    with loop(builder, x.rows, before) as (t, current, after):
        step = dt.load(t, FIRST, VECTOR)
        pushed = builder.fmul(step, x.load(t, FIRST, VECTOR))
        total = y.load(t, FIRST, VECTOR)
        for n in numbers:
            decay = _exp2_of_negative(builder, builder.fmul(step, rates[n]))
            for matrix, value in zip(kept, (decay, current[n]), strict=False):
                matrix.store(state_row(builder, t, n), FIRST, value)
            added = builder.fmul(pushed, share(builder, B, t, n))
            after.append(fma(builder, decay, current[n], added))
            total = fma(builder, after[n], share(builder, C, t, n), total)
        y.store(t, FIRST, total)
    for n in numbers:
        h.store(INDEX(n), FIRST, after[n])


def matrices(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Matrix]:
    """The arguments of a function of arrays."""
    kinds_and_values = zip(signature.args, arguments, strict=True)
    return [Matrix(context, builder, kind, value) for kind, value in kinds_and_values]


def state_row(builder: Any, t: Any, n: int) -> Any:
    """The row of a step and state in a matrix (L * STATES, LANES)."""
    return builder.add(builder.mul(t, INDEX(STATES)), INDEX(n))


def share(builder: Any, matrix: Matrix, t: Any, n: int) -> Any:
    """One value of a matrix in all lanes."""
    return builder.bitcast(matrix.broadcast(t, INDEX(n)), VECTOR)


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """The vector a b + c."""
    return builder.call(_arithmetic(builder, "fma", 3), [a, b, c])


def _exp2_of_negative(builder: Any, t: Any) -> Any:
    """2 to the t <= 0, of LANES values: a third fewer operations than `arithmetic.exp`."""
    least = _constant(_LEAST_EXPONENT)
    t = builder.select(builder.fcmp_ordered(">", t, least), t, least)
    whole = builder.call(_arithmetic(builder, "rint", 1), [t])
    f = builder.fsub(t, whole)
    p = _constant(EXP2_COEFFICIENTS[-1])
    for coefficient in EXP2_COEFFICIENTS[-2::-1]:
        p = fma(builder, p, f, _constant(coefficient))
    exponent = builder.shl(builder.fptosi(whole, _WORDS), _WORDS([23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(p, _WORDS), exponent), VECTOR)


def _constant(value: Any) -> Any:
    return VECTOR([float(value)] * LANES)


def _arithmetic(builder: Any, name: str, arguments: int) -> Any:
    return vector_function(builder, f"llvm.{name}.v{LANES}f32", [VECTOR] * arguments)
