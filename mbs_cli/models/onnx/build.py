"""From a model to the ONNX file's content: its graph, and what the file says about itself."""

from __future__ import annotations

import json

from onnx import ModelProto, helper

from mbs_cli import __version__
from mbs_cli.models.bsrnn import Bsrnn
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.onnx.bsrnn import bsrnn
from mbs_cli.models.onnx.description import METADATA_KEY, OnnxInfo, describe
from mbs_cli.models.onnx.graph import IR_VERSION, OPSET, Graph, Value
from mbs_cli.models.onnx.mbsnet import mbs_net
from mbs_cli.models.onnx.signature import (
    ESTIMATE,
    KEPT,
    NEXT,
    SIGNALS,
    SPECTRUM,
    Form,
    input_shapes,
    output_shapes,
    state_shapes,
)


def build_onnx(model: MbsNet | Bsrnn, info: OnnxInfo) -> ModelProto:
    """The model in the form that `info` says."""
    graph = Graph()
    shapes = input_shapes(model.config, info.form)
    inputs = {name: graph.input(name, shape, name == KEPT) for name, shape in shapes.items()}
    spectrum = inputs.pop(SPECTRUM)
    kept = inputs.pop(KEPT).unsqueeze(0) if info.form is Form.WINDOW else None
    states = _silent_states(model, spectrum) if info.form is Form.WHOLE else inputs
    if isinstance(model, Bsrnn):
        estimate, after = bsrnn(model, spectrum, states, kept)
    else:
        estimate, after = mbs_net(model, spectrum, states, kept)
    results = {ESTIMATE: estimate, **{NEXT + name: state for name, state in after.items()}}
    for name, shape in output_shapes(model.config, info.form).items():
        graph.output(results[name], shape, name)
    return _with_description(graph, info)


def _silent_states(model: MbsNet | Bsrnn, spectrum: Value) -> dict[str, Value]:
    signals = spectrum.lengths(1, 2)
    return {
        name: spectrum.graph.zeros(
            *(signals if length == SIGNALS else int(length) for length in shape)
        )
        for name, shape in state_shapes(model.config).items()
    }


def _with_description(graph: Graph, info: OnnxInfo) -> ModelProto:
    proto = helper.make_model(
        graph.proto("mbs"),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mbs",
        producer_version=__version__,
        doc_string="Speech enhancement, 16 kHz; the metadata entry 'mbs' says how to use it.",
    )
    helper.set_model_props(proto, {METADATA_KEY: json.dumps(describe(info), allow_nan=False)})
    return proto
