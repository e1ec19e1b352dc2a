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
        NotApplicable: the file is not there, damaged or cut short, or the array is not mono.
    """
    if isinstance(source, Path):
        return _read_file(source)
    if source.ndim != 1:
        raise NotApplicable(f"not mono: the shape of the array is {source.shape}")
    return Sound(source[None], SAMPLE_RATE_HZ)


def _read_file(path: Path) -> Sound:
    import soundfile

    from mbs_cli.audio.file_info import open_sound
    from mbs_cli.audio.truncation import find_truncation

    try:
        with open_sound(path) as sound:
            fault = find_truncation(path, sound)
            samples = sound.read(dtype="float64", always_2d=True)
            rate_hz, promised = sound.samplerate, sound.frames
    except AudioError as error:
        raise NotApplicable(error.message) from error
    except soundfile.LibsndfileError as error:
        raise NotApplicable(f"{path}: damaged or cut short ({error.error_string})") from error
    if len(samples) < promised:
        fault = f"cut short: its header promises {promised} samples, {len(samples)} are there"
    if fault:
        raise NotApplicable(f"{path}: {fault}")
    return Sound(np.ascontiguousarray(_to_16_khz(samples, rate_hz).T), rate_hz)


def _to_16_khz(samples: NDArray[Any], rate_hz: int) -> NDArray[Any]:
    """Samples (S, C) at the common rate."""
    if rate_hz == SAMPLE_RATE_HZ or not len(samples):
        return samples
    import soxr

    resampled: NDArray[Any] = soxr.resample(
        samples, rate_hz, SAMPLE_RATE_HZ, quality=RESAMPLER_QUALITY
    )
    return resampled
