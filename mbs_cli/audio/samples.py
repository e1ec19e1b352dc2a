"""Blocks of samples and a queue of them.

Letters: C channels, S samples. A block is a float32 array (C, S), full scale +-1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.errors import UsageError

Samples = NDArray[np.float32]


def silence(channels: int, samples: int) -> Samples:
    """A block of zeros (C, S)."""
    return np.zeros((channels, samples), dtype=np.float32)


def check_floats(samples: NDArray[Any]) -> None:
    """Raise UsageError for integers, whose full scale is not 1."""
    if not np.issubdtype(samples.dtype, np.floating):
        raise UsageError(
            f"an array of {samples.dtype}: expected floats with full scale 1",
            "divide 16-bit samples by 32768",
        )


class SampleQueue:
    """First in, first out, cut anywhere: blocks go in, any number of samples comes out."""

    def __init__(self, channels: int) -> None:
        self._waiting = silence(channels, 0)

    def __len__(self) -> int:
        return int(self._waiting.shape[1])

    def push(self, block: Samples) -> None:
        """Append a block (C, S)."""
        self._waiting = np.concatenate([self._waiting, block], axis=1)

    def pop(self, samples: int) -> Samples:
        """Take out the first `samples` samples (C, samples)."""
        taken, self._waiting = self._waiting[:, :samples], self._waiting[:, samples:]
        return taken
