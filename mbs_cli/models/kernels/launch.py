"""Calling a kernel on the memory of tensors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

# numba's portable thread pool ends the process when two threads enter it at once.
_one_at_a_time = threading.Lock()


def run_kernel(kernel: Any, *tensors: Tensor) -> None:
    """Call a kernel on the memory of the tensors; those that it fills must be contiguous."""
    with _one_at_a_time:
        kernel(*(tensor.detach().contiguous().numpy() for tensor in tensors))


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch and the kernels on the calling thread alone.

    For little work: on a busy machine the wait for other threads can take 100 ms.
    """
    import numba

    threads, kernel_threads = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        numba.set_num_threads(kernel_threads)


def runs_fused(x: Tensor) -> bool:
    """Whether what is computed from x may take the kernels for inference: CPU, float32, eager.

    They know no gradients, and torch's compiler, exporter and FLOP counter cannot look into them.
    """
    return not (
        torch.is_grad_enabled()
        or x.device.type != "cpu"
        or x.dtype != torch.float32
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
        or is_in_torch_dispatch_mode()
    )


def kernels_need_compiling() -> bool:
    """Whether the first run on this machine is still to come: it compiles for about 20 s."""
    from mbs_cli.models.kernels.gated_scan import gated_scan_forward

    folder = gated_scan_forward.stats.cache_path
    return folder is None or not any(Path(folder).glob("gated_scan.gated_scan_forward-*.nbi"))
