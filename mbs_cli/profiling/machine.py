"""The facts about the machine that a measurement needs beside it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from mbs_cli import __version__
from mbs_cli.models.precision import Precision, dtype_name, training_dtype
from mbs_cli.models.scan import default_implementation
from mbs_cli.profiling.device_memory import total_bytes
from mbs_cli.profiling.results import Machine

_PACKAGES = ("torch", "numba", "triton", "numpy")


def describe_machine(device: torch.device, threads: int | None) -> Machine:
    """The machine that runs it, and what computes on that device of it."""
    versions = {"mbs": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return Machine(
        device=device.type,
        device_name=_device_name(device),
        memory_bytes=total_bytes(device),
        threads=threads or torch.get_num_threads(),
        scan_implementation=default_implementation(device),
        training_precision=dtype_name(training_dtype(Precision.AUTO, device)),
        platform=platform.platform(),
        versions=versions,
    )


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
