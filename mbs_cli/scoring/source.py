"""A file or an array as samples at 16 kHz.

C channels, S samples. One resampler for everything, and it is recorded with the results: scores of
the same files differ by tenths of a PESQ point between resamplers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.errors import AudioError
from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable

RESAMPLER_QUALITY = "HQ"


@dataclass(frozen=True)
class Sound:
    """Samples (C, S) at 16 kHz and the rate they came from."""

    samples: NDArray[Any]
    rate_hz: int

    @property
    def channels(self) -> int:
        """C."""
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """S."""
        return int(self.samples.shape[1])


def read_sound(source: Path | NDArray[Any]) -> Sound:
    """A file of any rate and number of channels, or an array (S,) at 16 kHz.

    Raises:
        NotApplicable: the file is not there, damaged, cut short or needs an ffmpeg that is not
            installed, or the array is not mono.
    """
    if isinstance(source, Path):
        return _read_file(source)
    if source.ndim != 1:
        raise NotApplicable(f"not mono: the shape of the array is {source.shape}")
    return Sound(source[None], SAMPLE_RATE_HZ)


def _read_file(path: Path) -> Sound:
    from mbs_cli.scoring.sound_file import read_sound_file

    try:
        samples, info = read_sound_file(path)
    except AudioError as error:
        raise NotApplicable(str(error)) from error
    return Sound(_to_16_khz(samples, info.sample_rate_hz), info.sample_rate_hz)


def _to_16_khz(samples: NDArray[Any], rate_hz: int) -> NDArray[Any]:
    """Samples (C, S) at the common rate."""
    if rate_hz == SAMPLE_RATE_HZ or not samples.size:
        return samples
    import soxr

    resampled = soxr.resample(samples.T, rate_hz, SAMPLE_RATE_HZ, quality=RESAMPLER_QUALITY)
    return np.ascontiguousarray(resampled.T)
