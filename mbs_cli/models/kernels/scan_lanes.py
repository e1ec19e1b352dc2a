"""The steps of a selective scan for as many features as a register holds, in LLVM code.

Letters: L steps, E features, N states per feature.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mbs_cli.models.kernels.arithmetic import EXP2_COEFFICIENTS
from mbs_cli.models.kernels.lanes import INDEX, LANES, VECTOR, WORD, Matrix, loop, vector_function

_WORDS = ir.VectorType(WORD, LANES)
_LEAST_EXPONENT = -125.0  # below it a decay is held there: next to nothing


def make_scan(states: int) -> Any:
    """A function for kernels: so many states of LANES features taken through all steps.

    x, dt, y (L, LANES): the states' share is added to y; rate, h (states, LANES), h is advanced;
    B, C (L, states); float32. L is at least 1.
    """

    @intrinsic
    def scan(_typing_context, x, dt, rate, B, C, h, y):  # type: ignore[no-untyped-def]
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            main, step, rates, push, pull, state, out = (
                Matrix(context, builder, kind, value)
                for kind, value in zip(signature.args, arguments, strict=True)
            )
            numbers = range(states)
            decay_rates = [rates.load(INDEX(n), INDEX(0), VECTOR) for n in numbers]
            before = [state.load(INDEX(n), INDEX(0), VECTOR) for n in numbers]
            with loop(builder, main.rows, before) as (t, current, after):
                u = step.load(t, INDEX(0), VECTOR)
                pushed = builder.fmul(u, main.load(t, INDEX(0), VECTOR))
                total = out.load(t, INDEX(0), VECTOR)
                for n in numbers:
                    decay = exp2_of_negative(builder, builder.fmul(u, decay_rates[n]))
                    added = builder.fmul(pushed, share(builder, push, t, n))
                    after.append(fma(builder, decay, current[n], added))
                    total = fma(builder, after[n], share(builder, pull, t, n), total)
                out.store(t, INDEX(0), total)
            for n in numbers:
                state.store(INDEX(n), INDEX(0), after[n])
            return context.get_dummy_value()

        return types.void(x, dt, rate, B, C, h, y), codegen

    return scan


def share(builder: Any, matrix: Matrix, t: Any, n: int) -> Any:
    """One value of a matrix in all lanes."""
    return builder.bitcast(matrix.broadcast(t, INDEX(n)), VECTOR)


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """The vector a b + c."""
    return builder.call(_arithmetic(builder, "fma", 3), [a, b, c])


def exp2_of_negative(builder: Any, t: Any) -> Any:
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
