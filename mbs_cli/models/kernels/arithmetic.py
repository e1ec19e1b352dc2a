"""Elementary functions that LLVM vectorises inside a numba loop, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Sums may be reordered and products fused, so that loops vectorise; NaN and infinity keep their
# meaning, so that a damaged input shows.
FAST = {"reassoc", "contract", "nsz", "arcp"}

_BITS_OF_ROOT_HALF = np.int32(0x3F3504F3)
_LOG2_E = np.float32(1.4426950408889634)
_LOG_2 = np.float32(0.6931471805599453)
# Minimax polynomial of 2**f on [-0.5, 0.5], exactly 1 at 0 so that no decay exceeds 1; relative
# error below 1e-8, which float32 does not resolve.
_P1 = np.float32(0.6931472028550589)
_P2 = np.float32(0.24022647913630008)
_P3 = np.float32(0.05550332471137907)
_P4 = np.float32(0.00961843735759052)
_P5 = np.float32(0.0013398874410278094)
_P6 = np.float32(0.00015353361921470292)
EXP2_COEFFICIENTS = (1.0, _P1, _P2, _P3, _P4, _P5, _P6)  # from the constant up


@intrinsic
def _bits_of_float(  # type: ignore[no-untyped-def]
    _typing_context, _value
):
    """The bit pattern of that float32 as an int32."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), codegen


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
def log(v: Any) -> Any:
    """The natural logarithm of a normal v > 0, as a whole power of two and the series of artanh."""
    bits: Any = _bits_of_float(v)  # type: ignore[call-arg]
    whole = np.int32(bits - _BITS_OF_ROOT_HALF) >> np.int32(23)
    m = _float_from_bits(bits - (whole << np.int32(23)))
    w = (m - np.float32(1.0)) / (m + np.float32(1.0))  # at most 0.172
    q = w * w
    series = np.float32(1 / 5) + q * (np.float32(1 / 7) + q * np.float32(1 / 9))
    series = np.float32(1.0) + q * (np.float32(1 / 3) + q * series)
    return np.float32(whole) * _LOG_2 + np.float32(2.0) * w * series


@njit(inline="always", fastmath=FAST)
def softplus(v: Any) -> Any:
    """The logarithm of 1 + e to the v, also where that is small, as max(v, 0) + log1p(z).

    log1p(z) of z = e to the -|v| is the series of 2 artanh(w), w = z / (2 + z) <= 1 / 3.
    """
    z = exp(-abs(v))
    w = z / (np.float32(2.0) + z)
    q = w * w
    series = np.float32(1 / 9) + q * (np.float32(1 / 11) + q * np.float32(1 / 13))
    series = np.float32(1 / 5) + q * (np.float32(1 / 7) + q * series)
    series = np.float32(1.0) + q * (np.float32(1 / 3) + q * series)
    return max(v, np.float32(0.0)) + np.float32(2.0) * w * series


@njit(inline="always", fastmath=FAST)
def sigmoid(v: Any) -> Any:
    """1 / (1 + e to the -v)."""
    return np.float32(1.0) / (np.float32(1.0) + exp(-v))


@njit(inline="always", fastmath=FAST)
def silu_slope(v: Any) -> Any:
    """The slope of v sigmoid(v)."""
    share = sigmoid(v)
    return share * (np.float32(1.0) + v * (np.float32(1.0) - share))


@njit(inline="always", fastmath=FAST)
def tanh(v: Any) -> Any:
    """The hyperbolic tangent of v, to the rounding of 1."""
    return np.float32(1.0) - np.float32(2.0) / (exp(v + v) + np.float32(1.0))


@njit(inline="always", fastmath=FAST)
def normal(v: Any) -> Any:
    """The normal distribution function of v, by Abramowitz & Stegun 7.1.26 to 1e-7, and density."""
    z = abs(v) * np.float32(0.7071067811865476)
    t = np.float32(1.0) / (np.float32(1.0) + np.float32(0.3275911) * z)
    p = np.float32(-1.453152027) + t * np.float32(1.061405429)
    p = t * (
        np.float32(0.254829592)
        + t * (np.float32(-0.284496736) + t * (np.float32(1.421413741) + t * p))
    )
    bell = exp(-z * z)
    tail = np.float32(0.5) * p * bell
    share = np.float32(1.0) - tail if v > np.float32(0.0) else tail
    return share, bell * np.float32(0.3989422804014327)


@njit(inline="always", fastmath=FAST)
def gelu(v: Any) -> Any:
    """The product of v and the normal distribution function of v."""
    return v * normal(v)[0]
