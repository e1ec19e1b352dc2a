"""A reference and an estimate to be compared, from files or from memory.

C channels, S samples. Files of any sample rate are brought to 16 kHz by one resampler; lengths
have to agree unless trimming is asked for; the lag between the two is always measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mbs_cli.scoring.facts import PairFacts
from mbs_cli.scoring.lag import measure_lag
from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable
from mbs_cli.scoring.source import Sound, read_sound

# Two rates round one duration to two sample counts: 1 s more or less of a sample is no mismatch.
_ROUNDING_SAMPLES = 2

Source = Path | NDArray[Any]


@dataclass(frozen=True)
class Signals:
    """What is compared: both sides (C, S) at 16 kHz, of one length."""

    reference: NDArray[Any] | None
    estimate: NDArray[Any]
    facts: PairFacts


@dataclass(frozen=True)
class ScorePair:
    """Each side is a path, or an array (S,) at 16 kHz with full scale at 1.

    Without a reference only metrics that need none can be computed.
    """

    name: str
    reference: Source | None
    estimate: Source
    trim: bool = False  # compare what both have, from the start, if the lengths differ
    align: bool = False  # take the measured lag out first

    def load(self) -> Signals:
        """Both sides, ready to be compared channel by channel.

        Raises:
            NotApplicable: a file cannot be read, or their channels or lengths differ.
        """
        estimate = read_sound(self.estimate)
        if self.reference is None:
            return _alone(estimate)
        reference = read_sound(self.reference)
        if reference.channels != estimate.channels:
            raise NotApplicable(
                f"channels differ: reference {reference.channels}, estimate {estimate.channels}"
            )
        differ = self._lengths_differ(reference, estimate)
        lag = measure_lag(reference.samples.mean(axis=0), estimate.samples.mean(axis=0))
        is_aligned = self.align and bool(lag)
        clean, enhanced = _without_lag(
            reference.samples, estimate.samples, lag if is_aligned and lag else 0
        )
        common = min(clean.shape[1], enhanced.shape[1])
        trimmed = max(clean.shape[1], enhanced.shape[1]) - common if differ else 0
        clean, enhanced = clean[:, :common], enhanced[:, :common]
        facts = PairFacts(
            seconds=clean.shape[1] / SAMPLE_RATE_HZ,
            channels=estimate.channels,
            reference_rate_hz=reference.rate_hz,
            estimate_rate_hz=estimate.rate_hz,
            lag_samples=lag,
            is_aligned=is_aligned,
            trimmed_samples=trimmed,
        )
        return Signals(clean, enhanced, facts)

    def _lengths_differ(self, reference: Sound, estimate: Sound) -> bool:
        """Whether the lengths differ, if that is allowed."""
        difference = abs(reference.length - estimate.length)
        rounding = 0 if reference.rate_hz == estimate.rate_hz else _ROUNDING_SAMPLES
        if difference <= rounding:
            return False
        if not self.trim:
            raise NotApplicable(
                f"lengths differ: reference {reference.length} samples, estimate "
                f"{estimate.length} samples at 16 kHz (trimming compares what both have)"
            )
        return True


def _alone(estimate: Sound) -> Signals:
    facts = PairFacts(
        seconds=estimate.length / SAMPLE_RATE_HZ,
        channels=estimate.channels,
        estimate_rate_hz=estimate.rate_hz,
    )
    return Signals(None, estimate.samples, facts)


def _without_lag(
    reference: NDArray[Any], estimate: NDArray[Any], lag: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both sides (C, S) from where they begin together."""
    return reference[:, max(0, -lag) :], estimate[:, max(0, lag) :]
