"""A peak limiter without look-ahead.

Letters: C channels, S samples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mbs_cli.audio.samples import Samples

RELEASE_SECONDS = 0.2  # in which the gain comes back by 1 neper (8.7 dB)


class Limiter:
    """Turns the gain down at once where a sample is past full scale, and softly back up.

    The peak level p[n] = max(|x[n]| over channels, p[n-1] exp(-1 / release)) divides the samples
    wherever it is above 1. All channels get one gain, and the result does not depend on where a
    signal is cut into blocks.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._decay = 1.0 / (RELEASE_SECONDS * sample_rate_hz)  # nepers per sample
        self._log_peak = -np.inf  # of the last sample
        self.clipped_samples = 0
        self.gain_db = 0.0

    def feed(self, block: Samples) -> Samples:
        """Samples (C, S) within [-1, 1]."""
        if block.shape[1] == 0:
            return block
        peaks = self._follow(np.abs(block).max(axis=0).astype(np.float64))
        self.clipped_samples += int(np.count_nonzero(np.abs(block) > 1.0))
        gains = np.exp(-np.maximum(peaks, 0.0))
        return np.clip(block * gains, -1.0, 1.0).astype(np.float32)

    def _follow(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """The logarithm of the peak level, of sample levels (S,).

        With a decay by a constant number of nepers a running maximum is all it takes.
        """
        fallen = self._decay * np.arange(1, len(levels) + 1)
        with np.errstate(divide="ignore"):
            risen = np.log(levels) + fallen
        risen[0] = max(risen[0], self._log_peak)
        peaks: NDArray[np.float64] = np.maximum.accumulate(risen) - fallen
        self._log_peak = float(peaks[-1])
        return peaks

    def flush(self) -> Iterator[Samples]:
        """Nothing waits."""
        return iter(())

    def describe(self) -> str:
        """How many samples were past full scale."""
        if not self.clipped_samples:
            return ""
        return f"limited around {self.clipped_samples} samples past full scale"

    def release(self) -> None:
        """Nothing is held."""
