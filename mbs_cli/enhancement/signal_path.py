"""A signal's way to the model and back, and what is mixed, stretched and resampled on it.

    input --> mean of channels --> 16 kHz --> model --> stretching --> back --> mix --> output rate
              (mono only)     |                         (--pcs)                  |
                              +------- waits, unchanged (--dry) -----------------+

Letters: C channels, S samples.
"""

from __future__ import annotations

import numpy as np

from mbs_cli.audio.rate_bridge import RateBridge
from mbs_cli.audio.resampling import Resampler
from mbs_cli.audio.samples import SampleQueue, Samples
from mbs_cli.enhancement.contrast import ContrastStretcher
from mbs_cli.enhancement.treatment import ChannelMode, Treatment


class SignalPath:
    """As `RateBridge`: every sample that enters `to_model` leaves `from_model` at the same
    position. Each is called with `last=True` once, at the end.
    """

    def __init__(
        self, rate_hz: int, channels: int, treatment: Treatment, output_rate_hz: int | None = None
    ) -> None:
        self.channels = treatment.channels_out(channels)
        self._is_mixed_down = treatment.channels is ChannelMode.MONO and channels > 1
        self._bridge = RateBridge(rate_hz, self.channels)
        self._share = np.float32(treatment.dry_share)
        self._input = SampleQueue(self.channels)
        self._stretcher = ContrastStretcher(self.channels) if treatment.pcs else None
        self._resampler = None
        if output_rate_hz not in (None, rate_hz):
            self._resampler = Resampler(rate_hz, output_rate_hz, self.channels)

    def to_model(self, block: Samples, last: bool = False) -> Samples:
        """The next samples (C, S) at 16 kHz, as much as can be said so far."""
        if self._is_mixed_down:
            block = block.mean(axis=0, keepdims=True)
        if self._share:
            self._input.push(block)
        return self._bridge.to_model(block, last)

    def from_model(self, enhanced: Samples, last: bool = False) -> Samples:
        """The next enhanced samples (C, S) at the output's rate."""
        if self._stretcher is not None:
            enhanced = self._stretcher.feed(enhanced, last)
        returned = self._bridge.from_model(enhanced, last)
        if self._share:
            dry = self._input.pop(returned.shape[1])
            returned = (1 - self._share) * returned + self._share * dry
        return returned if self._resampler is None else self._resampler.feed(returned, last)
