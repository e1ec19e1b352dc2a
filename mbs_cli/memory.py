"""Telling an error that means "not enough memory" from any other. Imports nothing heavy.

Python and numpy raise MemoryError. Torch raises a RuntimeError whose text alone tells: on a CPU its
allocator's, on CUDA and MPS OutOfMemoryError or what a library below it says.

Whoever catches one and tries again should do so after the `except` block has ended: inside it the
traceback keeps alive every tensor of the attempt that failed.
"""

from __future__ import annotations

import errno
import re

_TELLING_TEXT = re.compile(
    r"out of memory"  # CUDA, MPS, Triton
    r"|can't allocate memory|not enough memory"  # torch's CPU allocator, on Linux and Windows
    r"|could not (create|execute) a (primitive|memory)"  # oneDNN, below torch on a CPU
    r"|failed to allocate memory"  # onnxruntime
    r"|bad_alloc"  # C++
    r"|can't start new thread"  # Python, where there is no room for its stack
    r"|_ALLOC_FAILED",  # cuBLAS, cuDNN
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less work at a time, or another device, could get past this error."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    is_told_by_text = isinstance(error, RuntimeError) and _TELLING_TEXT.search(str(error))
    return isinstance(error, MemoryError) or bool(is_told_by_text)
