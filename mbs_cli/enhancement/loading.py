"""From what a user calls a model to a network ready to enhance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mbs_cli.device import Device, resolve_device
from mbs_cli.models.precision import Precision, resolve_precision

if TYPE_CHECKING:
    from torch import nn

DEFAULT_MODEL = "mbs-net"


def load_model(
    model: str | Path | nn.Module = DEFAULT_MODEL,
    device: Device | str = Device.AUTO,
    precision: Precision | str = Precision.AUTO,
) -> nn.Module:
    """A model in evaluation mode, from a preset's name, a checkpoint's path, or as it is.

    Raises UsageError for a name that is not known, CheckpointError for a file that is not a
    checkpoint of ours, DeviceError for a device that is not there or lacks that precision.
    """
    from mbs_cli.models.checkpoint import load_checkpoint
    from mbs_cli.models.packing import set_precision
    from mbs_cli.models.shipped import resolve_model

    where = resolve_device(device)
    dtype = resolve_precision(precision, where)
    if isinstance(model, str | Path):
        model, _ = load_checkpoint(resolve_model(str(model)), str(where))
    set_precision(model, dtype)
    return model.to(where).eval()
