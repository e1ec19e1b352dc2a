"""What happens to samples past full scale, for formats that cannot hold more.

Float files are never touched. Letters: C channels, S samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from mbs_cli.audio.limiter import Limiter
from mbs_cli.audio.output_format import ClipPolicy
from mbs_cli.audio.rescaler import Rescaler
from mbs_cli.audio.samples import Samples


class Clipping(Protocol):
    """Blocks in; what comes out, at once and at the end, is the whole signal within [-1, 1]."""

    clipped_samples: int  # how many were changed, but for one gain of all
    gain_db: float  # of the whole signal

    def feed(self, block: Samples) -> Samples:
        """Take samples (C, S); return those that are final, which may be none."""

    def flush(self) -> Iterator[Samples]:
        """End the signal; yield the rest in blocks."""

    def describe(self) -> str:
        """In a few words what was done, "" if nothing."""

    def release(self) -> None:
        """Let go of what it holds."""


def open_clipping(policy: ClipPolicy, channels: int, sample_rate_hz: int, folder: Path) -> Clipping:
    """The policy at work on one signal; what must wait on the disk waits in `folder`."""
    if policy is ClipPolicy.RESCALE:
        return Rescaler(channels, folder)
    if policy is ClipPolicy.LIMIT:
        return Limiter(sample_rate_hz)
    return HardClip()


class HardClip:
    """Samples past full scale become full scale.

    The level of everything else stays as it is: a clipped peak is better than a file that became
    quieter unasked.
    """

    def __init__(self) -> None:
        self.clipped_samples = 0
        self.gain_db = 0.0

    def feed(self, block: Samples) -> Samples:
        """Samples (C, S) within [-1, 1]."""
        self.clipped_samples += int(np.count_nonzero(np.abs(block) > 1.0))
        return np.clip(block, -1.0, 1.0)

    def flush(self) -> Iterator[Samples]:
        """Nothing waits."""
        return iter(())

    def describe(self) -> str:
        """How many samples were clipped."""
        if not self.clipped_samples:
            return ""
        return f"{self.clipped_samples} samples past full scale were clipped"

    def release(self) -> None:
        """Nothing is held."""
