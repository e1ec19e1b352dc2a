"""From one sample rate to another, without delay, in blocks.

Letters: C channels, S samples.
"""

from __future__ import annotations

import numpy as np
import soxr

from mbs_cli.audio.samples import Samples, silence

# Appended at the end, so that rounding never leaves the output a sample short.
SPARE_SAMPLES = 16


def resampled_length(samples: int, from_hz: int, to_hz: int) -> int:
    """How many samples a signal has at another rate; at least one of any."""
    return max(min(samples, 1), round(samples * to_hz / from_hz))


def resample_block(stream: soxr.ResampleStream, block: Samples, last: bool) -> Samples:
    """The next samples (C, S) through a stream of soxr's, which wants them interleaved."""
    interleaved = np.ascontiguousarray(block.T)
    return np.ascontiguousarray(stream.resample_chunk(interleaved, last=last).T)


class Resampler:
    """`feed` blocks (C, S), the last one with `last`; the joined output has `resampled_length`."""

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        self._rates_hz = from_hz, to_hz
        self._stream = soxr.ResampleStream(from_hz, to_hz, channels)
        self._taken = 0
        self._given = 0

    def feed(self, block: Samples, last: bool = False) -> Samples:
        """The samples (C, S) that can be said so far."""
        self._taken += block.shape[1]
        if last:
            spare = max(SPARE_SAMPLES, -(-self._rates_hz[0] // self._rates_hz[1]))
            block = np.concatenate([block, silence(block.shape[0], spare)], axis=1)
        resampled = resample_block(self._stream, block, last)
        length = resampled_length(self._taken, *self._rates_hz)
        if last:
            resampled = resampled[:, : length - self._given]
        self._given += resampled.shape[1]
        return resampled
