"""How much memory this process has taken at most."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psutil
import torch


def peak_memory_bytes(device: torch.device) -> int:
    """The most that was held so far: on a GPU by torch, else by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    return peak_resident_bytes()


def peak_resident_bytes() -> int:
    """The largest resident size of this process so far.

    On Linux not from getrusage: what that says outlives the call by which a program starts, so
    a child begins with the peak of its parent.
    """
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return 1024 * int(found[1])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
