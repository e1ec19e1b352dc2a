"""Calling a kernel on the memory of tensors."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from torch import Tensor

# numba's portable thread pool ends the process when two threads enter it at once.
_one_at_a_time = threading.Lock()


def run_kernel(kernel: Any, *tensors: Tensor) -> None:
    """Call a kernel on the memory of the tensors; those that it fills must be contiguous."""
    with _one_at_a_time:
        kernel(*(tensor.detach().contiguous().numpy() for tensor in tensors))


def kernels_need_compiling() -> bool:
    """Whether the first run on this machine is still to come: it compiles for about 10 s."""
    from mbs_cli.models.kernels.scan import scan_forward

    folder = scan_forward.stats.cache_path
    return folder is None or not any(Path(folder).glob("scan.scan_forward-*.nbi"))
