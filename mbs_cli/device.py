"""Where the arithmetic runs. Imports no torch until a device is looked up."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING

from mbs_cli.errors import DeviceError

if TYPE_CHECKING:
    import torch
    from torch import nn


class Device(StrEnum):
    """What `--device` accepts."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


def resolve_device(device: Device | str = Device.AUTO) -> torch.device:
    """The torch device of that name; `auto` takes cuda, then mps, then cpu.

    Raises DeviceError for a name that is not one of these and for a device that is not there.
    """
    import torch

    if device not in list(Device):
        raise DeviceError(f"no device {device!r}", f"choose one of {', '.join(Device)}")
    available = {
        Device.CUDA: torch.cuda.is_available(),
        Device.MPS: torch.backends.mps.is_available(),
        Device.CPU: True,
    }
    if device == Device.AUTO:
        return torch.device(next(name for name, there in available.items() if there))
    if not available[Device(device)]:
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise DeviceError(
            f"--device {device}: torch {torch.__version__} finds no such device here",
            f"available: {there}; --device auto takes the first of them",
        )
    return torch.device(device)


def device_of(model: nn.Module) -> torch.device:
    """Where a model is; the CPU for one that keeps no tensors of torch."""
    import torch

    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def usable_cores() -> int:
    """How many CPU cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def let_waiting_threads_sleep() -> None:
    """Threads that wait for others sleep instead of spinning. To be called before torch is loaded.

    Spinning takes the processor from the very threads that are waited for as soon as other
    programs want it too: with two threads on two busy cores `mbs enhance` took five times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def limit_threads(threads: int) -> None:
    """Let torch and the scan kernels use that many CPU threads. Raises DeviceError below 1."""
    import numba
    import torch

    if threads < 1:
        raise DeviceError(f"--threads {threads}: expected at least 1")
    torch.set_num_threads(threads)
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads, most))
