"""What `mbs live` needs of whatever records and plays.

Letters: C channels, S samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mbs_cli.audio.samples import Samples

# Takes the block (C, S) just recorded and returns the one to play next. It never waits.
Exchange = Callable[[Samples], Samples]


class AudioDevice(Protocol):
    """Records and plays at one clock, a block at a time, in a thread of its own."""

    sample_rate_hz: int
    channels: int
    block_samples: int

    @property
    def own_delay_seconds(self) -> float:
        """From microphone to speaker beyond the blocks; known once it runs."""

    @property
    def dropouts(self) -> int:
        """Blocks that the device itself lost or played too late."""

    @property
    def is_over(self) -> bool:
        """Whether no further block will come."""

    def start(self, exchange: Exchange) -> None:
        """Begin to call `exchange`, once for every block."""

    def stop(self) -> None:
        """End. Raises MbsError for what went wrong meanwhile."""
