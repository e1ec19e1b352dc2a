"""How much memory a process has used at most, on each kind of device."""

from __future__ import annotations

import ctypes
import gc
import platform
import sys

import psutil
import torch

from mbs_cli.training.peak_memory import peak_resident_bytes


class PeakMemory:
    """The most that this process needs, beyond what it held when this was made.

    CPU: the resident size. CUDA: what torch's allocator has given out. MPS: what torch has taken
    from the driver, which it keeps.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._before = self._current()

    def bytes(self) -> int:
        """The peak until now; 0 if nothing was needed."""
        return max(0, self._peak() - self._before)

    def _current(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device)
        return _driver_bytes() if self._device.type == "mps" else psutil.Process().memory_info().rss

    def _peak(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return _driver_bytes() if self._device.type == "mps" else peak_resident_bytes()


def _driver_bytes() -> int:
    return torch.mps.driver_allocated_memory()


def total_bytes(device: torch.device) -> int:
    """The memory of the device, or of the machine where they share it."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def available_bytes(device: torch.device) -> int:
    """What is free now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def release_freed_memory() -> None:
    """Give back to the system what was freed, so that reusing it counts as memory again."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def heap_gap_bytes() -> int:
    """Memory that the C library holds free between blocks in use; 0 where it does not tell."""
    library = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    if not hasattr(library, "mallinfo2"):  # before glibc 2.33
        return 0
    assert library is not None
    library.mallinfo2.restype = _HeapState
    return int(library.mallinfo2().fordblks)


class _HeapState(ctypes.Structure):
    """What mallinfo2(3) returns."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def limit_memory(more_bytes: int | None = None) -> None:
    """Let allocations of this process fail where the machine's memory ends, or before.

    Else the kernel would kill a process, and perhaps not this one. `more_bytes` is the most that
    it may take from now on. Linux only.
    """
    if sys.platform != "linux":
        return
    import resource

    available = psutil.virtual_memory().available
    limit = psutil.Process().memory_info().data + min(available, more_bytes or available)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
