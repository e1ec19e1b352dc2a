"""From a file's sample rate to the model's 16 kHz and back, without delay, in blocks.

Above 16 kHz two signals return: the enhanced one, and what the input holds above 8 kHz multiplied
by the gain of the highest enhanced bands (`HighBandGain`). That part is the input minus its own
way down to 16 kHz and up again, so an untouched signal comes back exactly.

Letters: C channels, S samples.
"""

from __future__ import annotations

import numpy as np
import soxr

from mbs_cli.audio.high_band import HighBandGain
from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.resampling import SPARE_SAMPLES, resample_block
from mbs_cli.audio.samples import SampleQueue, Samples, silence


class RateBridge:
    """One file's way to the model and back: every sample that enters `to_model` leaves
    `from_model` at the same position. Each is called with `last=True` once, at the end.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._rate_hz = rate_hz
        self._channels = channels
        self._taken = 0  # samples of the file that went in
        self._given = 0  # and came out
        self._resampled = 0  # samples that the model was given
        self._same_rate = rate_hz == SAMPLE_RATE_HZ
        self._has_high_band = rate_hz > SAMPLE_RATE_HZ
        if not self._same_rate:
            returning = 2 * channels if self._has_high_band else channels
            self._down = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, channels)
            self._up = soxr.ResampleStream(SAMPLE_RATE_HZ, rate_hz, returning)
            self._returned = SampleQueue(returning)
        if self._has_high_band:
            self._original = SampleQueue(channels)
            self._noisy = SampleQueue(channels)
            self._gain = HighBandGain(channels)

    def to_model(self, block: Samples, last: bool = False) -> Samples:
        """The next samples (C, S) at 16 kHz: (C, S16), S16 as much as can be said so far."""
        self._taken += block.shape[1]
        if self._same_rate:
            return block
        resampled = resample_block(self._down, block, last)
        self._resampled += resampled.shape[1]
        if last and not self._resampled:  # a handful of samples at a high rate rounds to none
            resampled = silence(self._channels, 1)
        if self._has_high_band:
            self._original.push(block)
            self._noisy.push(resampled)
        return resampled

    def from_model(self, enhanced: Samples, last: bool = False) -> Samples:
        """The next enhanced samples (C, S16) at the file's rate: (C, S)."""
        if self._same_rate:
            return enhanced
        returning = enhanced
        if self._has_high_band:
            noisy = self._noisy.pop(enhanced.shape[1])
            self._gain.feed(noisy, enhanced, last)
            returning = np.concatenate([enhanced, noisy])
        if last:
            spare = silence(returning.shape[0], SPARE_SAMPLES)
            returning = np.concatenate([returning, spare], axis=1)
        self._returned.push(resample_block(self._up, returning, last))
        ready = self._taken - self._given if last else self._ready()
        start, self._given = self._given, self._given + ready
        returned = self._returned.pop(ready)
        return self._with_high_band(returned, start) if self._has_high_band else returned

    def _ready(self) -> int:
        """How many samples can be given before the signal has ended."""
        ready = min(len(self._returned), self._taken - self._given)
        if self._has_high_band:
            ready = min(ready, self._gain.samples_known(self._rate_hz) - self._given)
        return max(0, ready)

    def _with_high_band(self, returned: Samples, start: int) -> Samples:
        low, low_before = np.split(returned, 2)
        samples = returned.shape[1]
        high = self._original.pop(samples) - low_before
        return low + self._gain.at(start, samples, self._rate_hz) * high
