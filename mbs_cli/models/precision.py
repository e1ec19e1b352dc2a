"""In what precision matrix products run. Imports no torch until one is looked up."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from mbs_cli.errors import DeviceError

if TYPE_CHECKING:
    import torch


class Precision(StrEnum):
    """What `--precision` accepts."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def resolve_precision(precision: Precision | str, device: torch.device) -> torch.dtype:
    """The dtype of the factors of matrix products; sums and all else are float32.

    `auto` takes bfloat16 on a CPU that has instructions for it (AVX512-BF16), else float32.
    Raises DeviceError for a name that is not known, and for bfloat16 elsewhere.
    """
    import torch

    if precision not in list(Precision):
        raise DeviceError(f"no precision {precision!r}", f"choose one of {', '.join(Precision)}")
    if precision == Precision.FLOAT32:
        return torch.float32
    if device.type == "cpu" and _cpu_has_bfloat16():
        return torch.bfloat16
    if precision == Precision.BFLOAT16:
        where = "this CPU" if device.type == "cpu" else device.type
        raise DeviceError(
            f"--precision {precision}: there is no way to it on {where}, only on CPUs with "
            "AVX512-BF16",
            "leave it to --precision auto",
        )
    return torch.float32


def training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The same for training, where any precision may be asked for by name.

    `auto` takes bfloat16 only where there are instructions for it: a CPU without them takes ten
    times as long as in float32.
    """
    import torch

    if precision != Precision.AUTO:
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bfloat16 = device.type == "cpu" and _cpu_has_bfloat16()
    return torch.bfloat16 if has_bfloat16 else torch.float32


def products_in(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which matrix products have factors of that dtype."""
    import torch

    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)


def dtype_name(dtype: torch.dtype) -> str:
    """As in `Precision`."""
    return str(dtype).removeprefix("torch.")


def emulates_bfloat16(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether the CPU makes up for the instructions that it lacks."""
    import torch

    return dtype is torch.bfloat16 and device.type == "cpu" and not _cpu_has_bfloat16()


def _cpu_has_bfloat16() -> bool:
    from mbs_cli.models.kernels.lanes import HAS_BFLOAT16

    return HAS_BFLOAT16
