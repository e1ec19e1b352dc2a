"""Errors that mean "not enough memory" are told from all others."""

from __future__ import annotations

import errno
import mmap
import os

import numpy as np
import pytest
import torch

from mbs_cli.memory import is_out_of_memory

TOO_MUCH = 1 << 50  # elements: more than any address space holds


def error_of(work, *arguments):
    try:
        work(*arguments)
    except (MemoryError, OSError, RuntimeError) as error:
        return error
    raise AssertionError("that should have failed")


@pytest.mark.parametrize(
    ("work", "arguments"),
    [
        (bytearray, (TOO_MUCH,)),
        (np.ones, (TOO_MUCH,)),
        (torch.ones, (TOO_MUCH,)),
        (mmap.mmap, (-1, TOO_MUCH)),
    ],
)
def test_real_failures_to_allocate_are_recognised(work, arguments):
    assert is_out_of_memory(error_of(work, *arguments))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("BFCArena::AllocateRawInternal() Failed to allocate memory for 4 bytes"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("could not create a primitive"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
    ],
)
def test_what_other_machines_say_is_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        error_of(torch.matmul, torch.ones(2, 3), torch.ones(2, 3)),
        ValueError("out of memory"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_cuda_failure_is_recognised():
    assert is_out_of_memory(error_of(lambda: torch.ones(TOO_MUCH, device="cuda")))
