"""An ONNX file read with suspicion, before any runtime sees it.

A file comes from somewhere else. One of ours holds all of its weights, nothing but the operators
that our graphs are made of, and the inputs and outputs that its description promises: then running
it is arithmetic, and can neither load code nor open other files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto

from mbs_cli.errors import CheckpointError
from mbs_cli.models.onnx.description import METADATA_KEY, OnnxInfo, parse_metadata
from mbs_cli.models.onnx.graph import OPERATORS, OPSET
from mbs_cli.models.onnx.signature import KEPT, Shape, input_shapes, output_shapes

_MOST_BYTES = 1 << 30  # the largest of our presets has about 30 MB
_NOT_OURS = "only files that mbs export wrote can be used"


def read_onnx(path: Path) -> tuple[bytes, OnnxInfo]:
    """The content of a file of ours, and what it says about itself.

    Raises:
        CheckpointError: missing, unreadable, damaged, of another origin, or not what it says it is.
    """
    content = _read(path)
    try:
        model = ModelProto.FromString(content)
    except DecodeError as error:
        raise CheckpointError(f"{path} is not an ONNX file, or damaged", _NOT_OURS) from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if METADATA_KEY not in metadata:
        raise CheckpointError(
            f"{path} is not an ONNX file of mbs: its metadata has no entry {METADATA_KEY!r}",
            _NOT_OURS,
        )
    info = parse_metadata(metadata[METADATA_KEY], path)
    _check_model(model, path)
    for what, found, expected in (
        ("inputs", model.graph.input, input_shapes(info.config, info.form)),
        ("outputs", model.graph.output, output_shapes(info.config, info.form)),
    ):
        if _shapes(found) != expected:
            raise CheckpointError(
                f"{path} does not fit: its {what} are not those of its model", "export it again"
            )
    return content, info


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CheckpointError(f"{path} is larger than any model of mbs", _NOT_OURS)
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror}", "check --model"
        ) from error


def _check_model(model: ModelProto, path: Path) -> None:
    opsets = [(entry.domain, entry.version) for entry in model.opset_import]
    if opsets != [("", OPSET)] or model.functions or model.graph.sparse_initializer:
        raise CheckpointError(
            f"{path} does not fit: expected a graph of standard operators of opset {OPSET}",
            "export it again",
        )
    for graph in _graphs(model.graph):
        for node in graph.node:
            if node.domain or node.op_type not in OPERATORS:
                raise CheckpointError(
                    f"{path} does not fit: operator {node.op_type!r} is in no model of mbs",
                    _NOT_OURS,
                )
        for tensor in graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
                raise CheckpointError(
                    f"{path} does not fit: it keeps weights in another file", _NOT_OURS
                )


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _shapes(values: Sequence[ValueInfoProto]) -> dict[str, Shape] | None:
    """The shapes of inputs or outputs by name; None if one is of another type than ours."""
    for value in values:
        kind = TensorProto.INT64 if value.name == KEPT else TensorProto.FLOAT
        if value.type.tensor_type.elem_type != kind:
            return None
    return {
        value.name: tuple(
            length.dim_param or length.dim_value for length in value.type.tensor_type.shape.dim
        )
        for value in values
    }
