"""Calling a kernel on the memory of tensors."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from mbs_cli.device import usable_cores

# numba's portable thread pool ends the process when two threads enter it at once.
_one_at_a_time = threading.Lock()


def run_kernel(kernel: Any, *inputs: Any) -> None:
    """Call a kernel on the memory of tensors, of which those that it fills must be contiguous;
    arrays, numbers and tuples of them go to it as they are.
    """
    with _one_at_a_time:
        kernel(*map(_as_it_takes, inputs))


def run_shared(kernel: Any, items: int, *inputs: Any) -> None:
    """Call a kernel on the items 0 to `items`, shared out among as many threads as torch uses.

    The kernel takes the first item and the one to stop at, then what `run_kernel` passes on. It
    must let go of Python's lock, and no item may touch what another one writes.
    """
    arguments = [_as_it_takes(value) for value in inputs]
    threads = max(1, min(torch.get_num_threads(), items))
    borders = [items * share // threads for share in range(threads + 1)]
    own, *others = pairwise(borders)
    shares = [_threads().submit(kernel, *share, *arguments) for share in others]
    kernel(*own, *arguments)
    for share in shares:
        share.result()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(usable_cores(), thread_name_prefix="kernel")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a fork has none of the threads


def _as_it_takes(value: Any) -> Any:
    return value.detach().contiguous().numpy() if isinstance(value, Tensor) else value


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
    from mbs_cli.models.kernels.mamba_layer import run_mamba_layer

    return not _is_cached(run_mamba_layer)


def training_kernels_need_compiling() -> bool:
    """Whether the first training step on this machine is still to come: it compiles for 20 s."""
    from mbs_cli.models.kernels.gated_scan import gated_scan_backward

    return not _is_cached(gated_scan_backward)


def _is_cached(kernel: Any) -> bool:
    folder, function = kernel.stats.cache_path, kernel.py_func
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}-*.nbi"
    return folder is not None and any(Path(folder).glob(name))
