"""ONNX graphs written as formulas: values that add, multiply and know which graph they are in.

Only operators of the standard are used, those of `OPERATORS`, so that any runtime can run them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 8  # the one that came with this opset

_NAMES = (
    "Abs Add Concat ConstantOfShape Div Erf Exp Gather Identity LSTM LayerNormalization Log MatMul "
    "Max Mul Pad ReduceMean ReduceSum Reshape Scan Shape Sigmoid Slice Split Sqrt Squeeze Sub Tanh "
    "Transpose Unsqueeze"
)
OPERATORS = frozenset(_NAMES.split())
_TINY = 1e-30
_TO_THE_END = np.iinfo(np.int64).max

Array: TypeAlias = NDArray[Any]
Dimensions: TypeAlias = Sequence[int | str]  # a name for what differs from call to call


@dataclass(frozen=True)
class Value:
    """What a node of a graph gives, by its name there; `+ - * / @` make further nodes."""

    graph: Graph
    name: str

    def __add__(self, other: Operand) -> Value:
        return self.graph.node("Add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return self.graph.node("Sub", self, other)

    def __mul__(self, other: Operand) -> Value:
        return self.graph.node("Mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph.node("Div", self, other)

    def __matmul__(self, other: Operand) -> Value:
        return self.graph.node("MatMul", self, other)

    def apply(self, operator: str, *others: Operand, **attributes: Any) -> Value:
        """An operator of this value as its first input, with one output."""
        return self.graph.node(operator, self, *others, **attributes)

    def slice(self, start: int | Value, end: int | Value | None = None, axis: int = 0) -> Value:
        """As `[start:end]` along an axis; a bound that is a value has the shape (1,)."""
        bounds = (start, _TO_THE_END if end is None else end, axis)
        return self.apply(
            "Slice", *(_whole_numbers(n) if isinstance(n, int) else n for n in bounds)
        )

    def split(self, sizes: Sequence[int]) -> list[Value]:
        """Parts of these sizes along the last axis."""
        return self.graph.nodes("Split", [self, _whole_numbers(*sizes)], len(sizes), axis=-1)

    def reshape(self, *shape: int | Value) -> Value:
        """To numbers and what `lengths` gives; 0 is an axis as it is, one -1 what is left."""
        return self.apply("Reshape", self.graph.shape(*shape))

    def transpose(self, *order: int) -> Value:
        """The axes in this order."""
        return self.apply("Transpose", perm=list(order))

    def unsqueeze(self, axis: int) -> Value:
        """With a new axis of length 1."""
        return self.apply("Unsqueeze", _whole_numbers(axis))

    def squeeze(self, axis: int) -> Value:
        """Without an axis of length 1."""
        return self.apply("Squeeze", _whole_numbers(axis))

    def mean(self, *axes: int) -> Value:
        """The mean over these axes, which stay with length 1."""
        return self.apply("ReduceMean", _whole_numbers(*axes), keepdims=1)

    def sum(self, *axes: int) -> Value:
        """The sum over these axes, which stay with length 1."""
        return self.apply("ReduceSum", _whole_numbers(*axes), keepdims=1)

    def lengths(self, start: int, end: int) -> Value:
        """The lengths of the axes from `start` on, before `end`."""
        return self.apply("Shape", start=start, end=end)

    def append_last(self, number: float) -> Value:
        """With one more element, this number, at the end of the last axis of four."""
        return self.apply("Pad", _whole_numbers(0, 0, 0, 0, 0, 0, 0, 1), number)

    def softplus(self) -> Value:
        """log(1 + e^x), accurate to the last digits where it is small, too.

        The operator of that name takes a fifth of a model's time in onnxruntime. The rounding of
        1 + e is made good by the factor e / ((1 + e) - 1) (Goldberg 1991, theorem 4).
        """
        e = (self.apply("Abs") * -1.0).apply("Exp")
        rounded = e + 1.0
        small = rounded.apply("Log") * e / (rounded - 1.0).apply("Max", _TINY)
        return self.apply("Max", 0.0) + small

    def silu(self) -> Value:
        """The value times its sigmoid."""
        return self * self.apply("Sigmoid")


Operand: TypeAlias = Value | Array | float


class Graph:
    """Nodes, weights, inputs and outputs, added one after another."""

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        self._numbers = count() if numbers is None else numbers  # of names, inner graphs included
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []

    def input(
        self, name: str, shape: Dimensions | None = None, is_whole_number: bool = False
    ) -> Value:
        """A float32 input, or one of int64."""
        kind = TensorProto.INT64 if is_whole_number else TensorProto.FLOAT
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return Value(self, name)

    def output(self, value: Value, shape: Dimensions | None = None, name: str = "") -> None:
        """Give a value to whoever runs the graph, under its own name or another."""
        if name:
            self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        assert all(value.name != other.name for other in self._outputs)
        shown = helper.make_tensor_value_info(name or value.name, TensorProto.FLOAT, shape)
        self._outputs.append(shown)

    def constant(self, array: Array | float) -> Value:
        """Weights, kept as float32, or whole numbers."""
        kind = np.int64 if np.issubdtype(np.asarray(array).dtype, np.integer) else np.float32
        value = Value(self, self._new_name("weight"))
        self._weights.append(numpy_helper.from_array(np.asarray(array, kind), value.name))
        return value

    def node(self, operator: str, *inputs: Operand, **attributes: Any) -> Value:
        """The one output of an operator."""
        return self.nodes(operator, inputs, 1, **attributes)[0]

    def nodes(
        self, operator: str, inputs: Sequence[Operand | None], outputs: int, **attributes: Any
    ) -> list[Value]:
        """The outputs of an operator; None is an optional input that is left out."""
        assert operator in OPERATORS
        names = ["" if x is None else self._value(x).name for x in inputs]
        made = [Value(self, self._new_name(operator)) for _ in range(outputs)]
        made_names = [value.name for value in made]
        self._nodes.append(
            helper.make_node(operator, names, made_names, made_names[0], **attributes)
        )
        return made

    def concat(self, *values: Operand, axis: int) -> Value:
        """Values one behind the other along an axis."""
        return self.node("Concat", *values, axis=axis)

    def zeros(self, *lengths: Value | int) -> Value:
        """Zeros; the lengths are numbers and what `Value.lengths` gives."""
        return self.node("ConstantOfShape", self.shape(*lengths))

    def shape(self, *lengths: Value | int) -> Operand:
        """A shape, of numbers and what `Value.lengths` gives."""
        if all(isinstance(length, int) for length in lengths):
            return np.array(lengths, np.int64)
        parts = [x if isinstance(x, Value) else _whole_numbers(x) for x in lengths]
        return self.concat(*parts, axis=0)

    def scan(
        self,
        step: Callable[..., tuple[Value, Value]],
        state: Value,
        *sequences: Value,
        backwards: bool = False,
        kept: Value | None = None,
    ) -> tuple[Value, Value]:
        """Run `step(state, *elements)`, which gives a new state and an output, along axis 0.

        Returns the final state, or that after the first `kept` elements (1,), and all outputs.
        `backwards` begins with the last elements; their outputs come last, too.
        """
        if kept is not None:
            assert not backwards
            return self._scan_in_two(step, state, sequences, kept)
        body = Graph(self._numbers)
        values = [body.input(self._new_name("step")) for _ in (state, *sequences)]
        for result in step(*values):
            body.output(result)
        final, outputs = self.nodes(
            "Scan",
            [state, *sequences],
            2,
            body=body.proto("step"),
            num_scan_inputs=len(sequences),
            scan_input_directions=[int(backwards)] * len(sequences),
            scan_output_directions=[int(backwards)],
        )
        return final, outputs

    def _scan_in_two(
        self,
        step: Callable[..., tuple[Value, Value]],
        state: Value,
        sequences: Sequence[Value],
        kept: Value,
    ) -> tuple[Value, Value]:
        """A scan of the first `kept` elements, then one of the others, of which there may be none.

        The second gets an element more, since onnxruntime refuses a scan of none.
        """
        state, first = self.scan(step, state, *(values.slice(0, kept) for values in sequences))
        further = (
            self.concat(values.slice(kept), values.slice(0, 1), axis=0) for values in sequences
        )
        _, rest = self.scan(step, state, *further)
        return state, self.concat(first, rest.slice(0, -1), axis=0)

    def proto(self, name: str) -> GraphProto:
        """The graph as ONNX has it."""
        return helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._weights)

    def _value(self, operand: Operand) -> Value:
        return operand if isinstance(operand, Value) else self.constant(operand)

    def _new_name(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"


def _whole_numbers(*numbers: int) -> Array:
    return np.array(numbers, np.int64)
