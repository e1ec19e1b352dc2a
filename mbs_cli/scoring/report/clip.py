"""The beginning of one sound file, as much as a page carries. C channels, S samples."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbs_cli.errors import AudioError

LONGEST_SECONDS = 20.0
MOST_CHANNELS = 2  # what browsers play everywhere
HIGHEST_RATE_HZ = 48_000  # likewise; FLAC holds few rates above 65,535 Hz
_LOUDEST = 1e6  # more than any recording holds; its square is still a number


@dataclass(frozen=True)
class Clip:
    """Samples (C, S) in full scale at 1, and how long the file is that they begin."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    file_seconds: float

    @property
    def seconds(self) -> float:
        """The duration of what was read."""
        return float(self.samples.shape[1] / self.sample_rate_hz)

    @property
    def mono(self) -> NDArray[np.float32]:
        """The mean of the channels (S,)."""
        return np.asarray(self.samples.mean(axis=0))

    def to_flac(self) -> bytes:
        """The clip as a 16-bit FLAC file; samples beyond full scale are clipped.

        Raises:
            AudioError: FLAC does not hold so many channels or such a rate.
        """
        import soundfile

        file = io.BytesIO()
        scaled = np.clip(self.samples.T, -1.0, 1.0)
        try:
            soundfile.write(file, scaled, self.sample_rate_hz, format="FLAC", subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"cannot be stored as FLAC at {self.sample_rate_hz} Hz with {len(self.samples)} "
                f"channels ({error.error_string.rstrip('.')})"
            ) from error
        return file.getvalue()


def read_clip(path: str | Path, longest_seconds: float = LONGEST_SECONDS) -> Clip:
    """Read at most that much, at no more than 48 kHz; samples that are not finite count as zero.

    Raises:
        AudioError: the file is missing, damaged, no audio, or has no samples.
    """
    from mbs_cli.scoring.sound_file import read_sound_file

    samples, info = read_sound_file(Path(path), "float32", longest_seconds)
    if samples.size == 0:
        raise AudioError(f"{path}: there are no samples in this file")
    finite = np.nan_to_num(samples[:MOST_CHANNELS], nan=0.0, posinf=0.0, neginf=0.0)
    loud = np.asarray(finite.clip(-_LOUDEST, _LOUDEST))
    return Clip(*_at_most_48_khz(loud, info.sample_rate_hz), info.seconds)


def _at_most_48_khz(samples: NDArray[np.float32], rate_hz: int) -> tuple[NDArray[np.float32], int]:
    """Samples (C, S) and their rate."""
    if rate_hz <= HIGHEST_RATE_HZ:
        return samples, rate_hz
    from mbs_cli.audio.resampling import Resampler

    resampler = Resampler(rate_hz, HIGHEST_RATE_HZ, len(samples))
    return resampler.feed(samples, last=True), HIGHEST_RATE_HZ
