"""One tile of a matrix product in the registers of the CPU: LLVM code that kernels are built on.

Both factors are held as words of 32 bits. A word is one float32, or, in an int32, two bfloat16
that follow each other along the depth of the product: such a pair is what the CPU's instruction
for bfloat16 multiplies and adds at once, into float32 sums.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mbs_cli.models.kernels.lanes import (
    INDEX,
    LANES,
    VECTOR,
    WORD,
    BFloat16,
    Matrix,
    cpu_has,
    loop,
    vector_function,
)

# Rows and registers of a tile: its sums and factors fill most of the 32 (AVX-512, NEON) or 16
# (AVX2) registers that there are.
if cpu_has("avx512f"):
    ROWS, VECTORS = 8, 2
else:
    ROWS, VECTORS = (4, 2) if cpu_has("avx2") else (4, 4)

_PAIRS = ir.VectorType(BFloat16(), 2 * LANES)


def is_bfloat16(words: types.Array) -> bool:
    """Whether words of this numba type hold pairs of bfloat16."""
    return bool(words.dtype == types.int32)


@intrinsic
def write_lanes(  # type: ignore[no-untyped-def]
    _typing_context, values, words, _row, _place
):
    """Write LANES of values (R, C) float32, from (row, place) on, to the same place of words."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = Matrix(context, builder, signature.args[0], arguments[0])
        target = Matrix(context, builder, signature.args[1], arguments[1])
        row, place = arguments[2:]
        lanes = source.load(row, place, VECTOR)
        if is_bfloat16(signature.args[1]):
            lanes = builder.fptrunc(lanes, ir.VectorType(BFloat16(), LANES))
            place = builder.lshr(place, INDEX(1))
        target.store(row, place, lanes)
        return context.get_dummy_value()

    return types.void(values, words, types.intp, types.intp), codegen


@intrinsic
def write_paired_lanes(  # type: ignore[no-untyped-def]
    _typing_context, values, words, _row, _place
):
    """Write LANES of values (2, C) float32, from `place` on, as rows `row` (even) and row + 1 of
    words that lie across two rows each.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = Matrix(context, builder, signature.args[0], arguments[0])
        target = Matrix(context, builder, signature.args[1], arguments[1])
        row, place = arguments[2:]
        lanes = [source.load(INDEX(i), place, VECTOR) for i in range(2)]
        if is_bfloat16(signature.args[1]):
            low, high = (builder.fptrunc(v, ir.VectorType(BFloat16(), LANES)) for v in lanes)
            order = [place for i in range(LANES) for place in (i, LANES + i)]
            mask = ir.VectorType(WORD, 2 * LANES)(order)
            pairs = builder.shuffle_vector(low, high, mask)
            target.store(builder.lshr(row, INDEX(1)), place, pairs)
        else:
            target.store(row, place, lanes[0])
            target.store(builder.add(row, INDEX(1)), place, lanes[1])
        return context.get_dummy_value()

    return types.void(values, words, types.intp, types.intp), codegen


def make_tile(rows: int, vectors: int) -> Any:
    """A function for kernels: y = start + x weight, of so many rows and registers of columns.

    x (rows, I) and weight (I, vectors * LANES) in words; start and y (rows, vectors * LANES)
    float32; start may have no rows, then it is the same for all.
    """
    places = list(product(range(rows), range(vectors)))

    @intrinsic
    def tile(_typing_context, x, weight, start, y):  # type: ignore[no-untyped-def]
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            left, right, before, after = (
                Matrix(context, builder, kind, value)
                for kind, value in zip(signature.args, arguments, strict=True)
            )
            add = _multiply_add(builder, is_bfloat16(signature.args[0]))
            sums = [before.load(INDEX(r), INDEX(v * LANES), VECTOR) for r, v in places]
            with loop(builder, left.columns, sums) as (depth, current, turned):
                across = [right.load(depth, INDEX(v * LANES), VECTOR) for v in range(vectors)]
                down = [left.broadcast(INDEX(r), depth) for r in range(rows)]
                turned.extend(
                    add(value, down[r], across[v])
                    for (r, v), value in zip(places, current, strict=True)
                )
            for (r, v), value in zip(places, turned, strict=True):
                after.store(INDEX(r), INDEX(v * LANES), value)
            return context.get_dummy_value()

        return types.void(x, weight, start, y), codegen

    return tile


def _multiply_add(builder: Any, in_bfloat16: bool) -> Any:
    """What adds to a vector of sums the products of two vectors of words."""
    factor = _PAIRS if in_bfloat16 else VECTOR
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * LANES}" if in_bfloat16 else f"llvm.fma.v{LANES}f32"
    kinds = [VECTOR, factor, factor] if in_bfloat16 else [factor, factor, VECTOR]
    function = vector_function(builder, name, kinds)

    def add(total: Any, a: Any, b: Any) -> Any:
        a, b = (builder.bitcast(words, factor) for words in (a, b))
        return builder.call(function, [total, a, b] if in_bfloat16 else [a, b, total])

    return add
