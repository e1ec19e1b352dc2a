"""Vector registers of the CPU in LLVM code: what numba cannot say, and kernels are built on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import config
from numba.core.cgutils import get_or_insert_function
from numba.core.cgutils import unpack_tuple as _unpack_tuple

FLOAT, WORD, INDEX = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_WORD_BYTES = 4


def cpu_has(feature: str) -> bool:
    """Whether the CPU that numba compiles for has it: this one, unless numba was told another."""
    settings: Any = config
    if settings.CPU_NAME is not None:
        return f"+{feature}" in (settings.CPU_FEATURES or "").split(",")
    return bool(llvm.get_host_cpu_features().get(feature, False))


HAS_BFLOAT16 = cpu_has("avx512bf16") and cpu_has("avx512f")
LANES = 16 if cpu_has("avx512f") else 8 if cpu_has("avx2") else 4  # float32 in a register
VECTOR = ir.VectorType(FLOAT, LANES)


class BFloat16(ir.Type):  # type: ignore[misc]
    """LLVM's type, which llvmlite lacks."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat16)

    def __hash__(self) -> int:
        return hash("bfloat")


class Matrix:
    """A numba array inside generated code: a pointer, and words from one row to the next."""

    def __init__(self, context: Any, builder: Any, kind: types.Array, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        unpack: Any = _unpack_tuple
        self._builder, self._data = builder, array.data
        shape = unpack(builder, array.shape)
        self.rows, self.columns = shape[0], shape[-1]
        stride = unpack(builder, array.strides)[0]
        # The rows of a matrix with one axis are all the same.
        self._stride = builder.sdiv(stride, INDEX(_WORD_BYTES)) if kind.ndim == 2 else INDEX(0)

    def _at(self, row: Any, column: Any, kind: ir.Type) -> Any:
        place = self._builder.add(self._builder.mul(row, self._stride), column)
        address = self._builder.gep(self._data, [place])
        return self._builder.bitcast(address, kind.as_pointer())

    def load(self, row: Any, column: Any, kind: ir.Type) -> Any:
        """The value there."""
        return self._builder.load(self._at(row, column, kind), align=_WORD_BYTES)

    def store(self, row: Any, column: Any, value: Any) -> None:
        """Write a value there."""
        self._builder.store(value, self._at(row, column, value.type), align=_WORD_BYTES)

    def broadcast(self, row: Any, column: Any) -> Any:
        """One word there, in all lanes."""
        lane = self.load(row, column, WORD)
        vector = ir.VectorType(WORD, LANES)
        first = self._builder.insert_element(vector(ir.Undefined), lane, WORD(0))
        return self._builder.shuffle_vector(first, vector(ir.Undefined), vector([0] * LANES))


@contextmanager
def loop(builder: Any, count: Any, values: list[Any]) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """Build a loop that runs `count` >= 1 times: gives its index, the values before a turn, and
    a list to be filled with those after it.
    """
    entry, body = builder.block, builder.append_basic_block("body")
    builder.branch(body)
    builder.position_at_end(body)
    index = builder.phi(INDEX)
    index.add_incoming(INDEX(0), entry)
    current = [builder.phi(value.type) for value in values]
    after: list[Any] = []
    yield index, current, after
    following = builder.add(index, INDEX(1))
    index.add_incoming(following, body)
    for phi, value, turned in zip(current, values, after, strict=True):
        phi.add_incoming(value, entry)
        phi.add_incoming(turned, body)
    done = builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed("<", following, count), body, done)
    builder.position_at_end(done)


def vector_function(builder: Any, name: str, kinds: list[ir.Type]) -> Any:
    """LLVM's function of that name, of arguments of these types, giving a VECTOR."""
    get: Any = get_or_insert_function
    return get(builder.module, ir.FunctionType(VECTOR, kinds), name)
