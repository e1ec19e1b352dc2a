"""What was found when a pair was read. Imports nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairFacts:
    """Beside the scores of a pair; None where it could not be read."""

    seconds: float | None = None  # of audio that was compared
    channels: int | None = None
    reference_rate_hz: int | None = None  # of the files; compared at 16 kHz
    estimate_rate_hz: int | None = None
    lag_samples: int | None = None  # at 16 kHz; positive: the estimate is late
    is_aligned: bool = False  # whether that lag was taken out
    trimmed_samples: int = 0  # at 16 kHz, cut off the end of the longer one
