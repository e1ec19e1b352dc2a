"""Exponential and sigmoid that LLVM vectorises inside a numba loop, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Sums may be reordered and products fused, so that loops vectorise; NaN and infinity keep their
# meaning, so that a damaged input shows.
FAST = {"reassoc", "contract", "nsz", "arcp"}

_LOG2_E = np.float32(1.4426950408889634)
# Minimax polynomial of 2**f on [-0.5, 0.5], exactly 1 at 0 so that no decay exceeds 1; relative
# error below 1e-8, which float32 does not resolve.
_P1 = np.float32(0.6931472028550589)
_P2 = np.float32(0.24022647913630008)
_P3 = np.float32(0.05550332471137907)
_P4 = np.float32(0.00961843735759052)
_P5 = np.float32(0.0013398874410278094)
_P6 = np.float32(0.00015353361921470292)


@intrinsic
def _float_from_bits(  # type: ignore[no-untyped-def]
    _typing_context, _bits
):
    """The float32 whose bit pattern is that int32."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), codegen


@njit(inline="always", fastmath=FAST)
def exp(v: Any) -> Any:
    """The exponential of v, as a power of two times a polynomial: LLVM vectorises this, not np.exp.

    Held within 2**-126 and 2**126: neither a decay nor a sigmoid can tell those from 0 and
    infinity.
    """
    t = min(max(v * _LOG2_E, np.float32(-126.0)), np.float32(126.0))
    whole = np.floor(t + np.float32(0.5))
    f = t - whole
    p = np.float32(1.0) + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * (_P5 + f * _P6)))))
    return p * _float_from_bits(  # type: ignore[call-arg]
        (np.int32(whole) + np.int32(127)) << np.int32(23)
    )


@njit(inline="always", fastmath=FAST)
def sigmoid(v: Any) -> Any:
    """1 / (1 + e to the -v)."""
    return np.float32(1.0) / (np.float32(1.0) + exp(-v))
