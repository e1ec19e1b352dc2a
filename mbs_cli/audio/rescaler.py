"""One gain for a whole signal of any length, known only when all of it was seen.

Letters: C channels, S samples.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mbs_cli.audio.samples import Samples

_BLOCK_FRAMES = 65_536


class Rescaler:
    """Makes a signal that passes full scale quieter, so that its peak is full scale.

    Until the end the samples wait as floats in a nameless file in `folder`, which vanishes with
    the process whatever happens to it.
    """

    def __init__(self, channels: int, folder: Path) -> None:
        self._channels = channels
        self._waiting = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - see `release`
        self._peak = 0.0
        self.clipped_samples = 0
        self.gain_db = 0.0

    def feed(self, block: Samples) -> Samples:
        """Put the samples (C, S) aside; none is final."""
        self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
        self._waiting.write(np.ascontiguousarray(block.T).tobytes())
        return block[:, :0]

    def flush(self) -> Iterator[Samples]:
        """All samples with their gain, in blocks."""
        gain = np.float32(1.0 / max(1.0, self._peak))
        self.gain_db = 20 * math.log10(gain)
        self._waiting.seek(0)
        row_bytes = self._channels * np.dtype(np.float32).itemsize
        while raw := self._waiting.read(_BLOCK_FRAMES * row_bytes):
            values = np.frombuffer(raw, dtype=np.float32).reshape(-1, self._channels)
            yield np.clip(values.T * gain, -1.0, 1.0)

    def describe(self) -> str:
        """By how much it became quieter."""
        return f"made {-self.gain_db:.2f} dB quieter to fit full scale" if self.gain_db < 0 else ""

    def release(self) -> None:
        """Give up what still waits."""
        self._waiting.close()
