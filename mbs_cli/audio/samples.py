"""Blocks of samples and a queue of them.

Letters: C channels, S samples. A block is a float32 array (C, S), full scale +-1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def silence(channels: int, samples: int) -> Samples:
    """A block of zeros (C, S)."""
    return np.zeros((channels, samples), dtype=np.float32)


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
