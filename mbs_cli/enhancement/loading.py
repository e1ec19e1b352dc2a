"""From what a user calls a model to a network ready to enhance."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from mbs_cli.device import Device, resolve_device
from mbs_cli.errors import CheckpointError, DeviceError, UsageError
from mbs_cli.models.catalogue import default_model
from mbs_cli.models.onnx.export import SUFFIX, load_exported
from mbs_cli.models.onnx.packages import require_onnx
from mbs_cli.models.onnx.signature import Form, endless_form
from mbs_cli.models.precision import Precision, resolve_precision
from mbs_cli.models.shipped import resolve_model

if TYPE_CHECKING:
    from torch import nn

DEFAULT_MODEL = default_model()
DEFAULT_LIVE_MODEL = default_model(live=True)  # for sound that has no end yet


class Backend(StrEnum):
    """What runs a model."""

    TORCH = "torch"
    ONNX = "onnx"  # onnxruntime, on the CPU


def load_model(
    model: str | Path | nn.Module = DEFAULT_MODEL,
    device: Device | str = Device.AUTO,
    backend: Backend | str = Backend.TORCH,
    precision: Precision | str = Precision.AUTO,
) -> nn.Module:
    """A model in evaluation mode, from a preset's name, a checkpoint's path, or as it is.

    With the backend `onnx` also from a file of `mbs export`; a checkpoint is exported into the
    user's cache folder first, once for all. It computes in float32.

    Raises UsageError for a name that is not known or packages that are not installed,
    CheckpointError for a file that is not one of ours, DeviceError for a device that is not there
    or lacks that precision.
    """
    if isinstance(model, str | Path):
        if backend not in list(Backend):
            raise UsageError(f"no backend {backend!r}", f"choose one of {', '.join(Backend)}")
        if backend == Backend.ONNX:
            return _load_onnx(str(model), device, precision)
        if Path(model).suffix == SUFFIX:
            raise UsageError(f"{model}: torch does not run ONNX files", "give --backend onnx, too")
    from mbs_cli.models.checkpoint import load_checkpoint
    from mbs_cli.models.packing import set_precision

    where = resolve_device(device)
    dtype = resolve_precision(precision, where)
    if isinstance(model, str | Path):
        model, _ = load_checkpoint(resolve_model(str(model)), str(where))
    set_precision(model, dtype)
    return model.to(where).eval()


def _load_onnx(model: str, device: Device | str, precision: Precision | str) -> nn.Module:
    require_onnx()
    if device not in (Device.AUTO, Device.CPU):
        raise DeviceError(f"--device {device}: onnxruntime computes on the CPU", "leave it out")
    if precision not in (Precision.AUTO, Precision.FLOAT32):
        raise DeviceError(f"--precision {precision}: onnxruntime takes float32", "leave it out")
    if Path(model).suffix != SUFFIX:
        return load_exported(resolve_model(model))
    from mbs_cli.models.onnx.session import OnnxModel

    exported = OnnxModel(Path(model))
    if exported.info.form is Form.WHOLE:
        raise CheckpointError(
            f"{model} takes whole signals only, and files can have any length",
            f"export the model with --form {endless_form(exported.info.config)}, or give its name",
        )
    return exported
