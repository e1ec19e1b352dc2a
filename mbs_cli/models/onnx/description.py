"""What an ONNX file of ours says about itself, in one JSON object of its metadata.

    {"format": "mbs-onnx", "format_version": 1, "mbs_version": "0.1.0", "form": "stream",
     "weights_sha256": "...", "weights_licence": "Apache-2.0", "latency_samples": 512,
     "inputs": {"spectrum": {"shape": ["frames", "signals", 257, 2], "meaning": "..."}, ...},
     "outputs": {...}, "model": {the description of the checkpoint}}

Imports nothing heavy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbs_cli import __version__
from mbs_cli.audio.parameters import N_FFT
from mbs_cli.errors import CheckpointError
from mbs_cli.models import checkpoint_info
from mbs_cli.models.checkpoint_info import CheckpointInfo, parse_description
from mbs_cli.models.config import ModelConfig
from mbs_cli.models.onnx.signature import (
    ESTIMATE,
    KEPT,
    NEXT,
    SPECTRUM,
    Form,
    Shape,
    endless_form,
    input_shapes,
    output_shapes,
)

METADATA_KEY = "mbs"
FORMAT = "mbs-onnx"
FORMAT_VERSION = 1
_NOT_OURS = "only files that mbs export wrote can be used"


@dataclass(frozen=True)
class OnnxInfo:
    """Facts beside the graph."""

    form: Form
    config: ModelConfig
    checkpoint: CheckpointInfo
    weights_sha256: str  # of the checkpoint file
    weights_licence: str | None = None  # None: not known
    mbs_version: str = __version__  # the version that wrote the file


def describe(info: OnnxInfo) -> dict[str, Any]:
    """The description as JSON has it."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mbs_version": info.mbs_version,
        "form": str(info.form),
        "weights_sha256": info.weights_sha256,
        "weights_licence": info.weights_licence,
        "latency_samples": N_FFT,
        "inputs": _explained(input_shapes(info.config, info.form)),
        "outputs": _explained(output_shapes(info.config, info.form)),
        "model": checkpoint_info.describe(info.config, info.checkpoint),
    }


def _explained(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    return {
        name: {"shape": list(shape), "meaning": _meaning(name)} for name, shape in shapes.items()
    }


def _meaning(name: str) -> str:
    if name == SPECTRUM:
        return "STFT of the noisy samples (full scale 1), not scaled: real and imaginary part"
    if name == KEPT:
        return "int64: how many frames precede those of the next call, from 1 to all of this one"
    if name == ESTIMATE:
        return "STFT of the enhanced samples, frame by frame that of the input"
    if name.startswith(NEXT):
        return f"to be the input {name.removeprefix(NEXT)} of the next call"
    return f"zeros in the first call, then the output {NEXT}{name} of the call before"


def parse_metadata(text: str, path: Path) -> OnnxInfo:
    """The facts of a file.

    Raises:
        CheckpointError: names the first thing that does not fit.
    """
    try:
        values = json.loads(text)
        found = {name: values[name] for name in ("format", "format_version")}
        form, model = Form(values["form"]), values["model"]
        texts = [values[name] for name in ("weights_sha256", "mbs_version")]
        licence = values["weights_licence"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its description is not valid") from error
    expected = {"format": FORMAT, "format_version": FORMAT_VERSION}
    if found != expected:
        raise CheckpointError(
            f"{path} does not fit: it is of {found}, expected {expected}", "export it again"
        )
    are_texts = all(isinstance(text, str) for text in texts) and isinstance(licence, str | None)
    if not are_texts or not isinstance(model, dict):
        raise CheckpointError(f"{path} is damaged: its description is not valid", _NOT_OURS)
    config, checkpoint = parse_description(model, path)
    if form not in (Form.WHOLE, endless_form(config)):
        raise CheckpointError(f"{path} does not fit: its model has no {form} form", _NOT_OURS)
    return OnnxInfo(form, config, checkpoint, texts[0], licence, texts[1])
