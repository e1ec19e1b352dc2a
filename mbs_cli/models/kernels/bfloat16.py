"""Single bfloat16 inside kernels, which numba does not know: they come and go as int16.

What is written with these two runs on arrays of either kind, float32 or the bits of bfloat16.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types

from mbs_cli.models.kernels.lanes import FLOAT, WORD

_HALF = ir.IntType(16)
_BITS_DROPPED = 16
_JUST_BELOW_HALF = 0x7FFF  # of the last bit that is kept
_NAN = 0x7FC0
_intrinsic: Any = extending.intrinsic  # whose types would have callers give the context, too


@_intrinsic
def widen(_typing_context, value):  # type: ignore[no-untyped-def]
    """The float32 that a value is, or whose upper half are its bits."""

    def codegen(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if signature.args[0] == types.float32:
            return arguments[0]
        word = builder.shl(builder.zext(arguments[0], WORD), WORD(_BITS_DROPPED))
        return builder.bitcast(word, FLOAT)

    return types.float32(value), codegen


@_intrinsic
def narrow(_typing_context, _value, like):  # type: ignore[no-untyped-def]
    """A float32 as what `like` is: itself, or the bits of the nearest bfloat16 (ties to even)."""

    def codegen(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if signature.args[1] == types.float32:
            return arguments[0]
        word = builder.bitcast(arguments[0], WORD)
        last_bit = builder.and_(builder.lshr(word, WORD(_BITS_DROPPED)), WORD(1))
        rounded = builder.add(word, builder.add(last_bit, WORD(_JUST_BELOW_HALF)))
        is_number = builder.fcmp_ordered("ord", arguments[0], arguments[0])
        upper = builder.lshr(rounded, WORD(_BITS_DROPPED))
        return builder.trunc(builder.select(is_number, upper, WORD(_NAN)), _HALF)

    return like(types.float32, like), codegen
