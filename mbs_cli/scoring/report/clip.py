"""The beginning of one sound file, as much as a page carries. C channels, S samples."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.errors import AudioError

LONGEST_SECONDS = 20.0
MOST_CHANNELS = 2  # what browsers play everywhere
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
        """The clip as a 16-bit FLAC file; samples beyond full scale are clipped."""
        import soundfile

        file = io.BytesIO()
        scaled = np.clip(self.samples.T, -1.0, 1.0)
        soundfile.write(file, scaled, self.sample_rate_hz, format="FLAC", subtype="PCM_16")
        return file.getvalue()


def read_clip(path: str | Path, longest_seconds: float = LONGEST_SECONDS) -> Clip:
    """Read at most that much; samples that are not finite count as zero.

    Raises:
        AudioError: the file is missing, damaged, no audio, or has no samples.
    """
    from mbs_cli.audio.file_info import open_sound

    path = Path(path)
    with open_sound(path) as sound:
        rate_hz = int(sound.samplerate)
        samples = _read(sound, path, int(longest_seconds * rate_hz))
        file_seconds = sound.frames / rate_hz
    if samples.size == 0:
        raise AudioError(f"{path}: there are no samples in this file")
    return Clip(samples, rate_hz, file_seconds)


def _read(sound: Any, path: Path, frames: int) -> NDArray[np.float32]:
    import soundfile

    try:
        samples = sound.read(frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path}: damaged or cut short ({error.error_string.rstrip('.')})",
            "copy or record it again",
        ) from error
    kept = samples[:, :MOST_CHANNELS].T
    finite = np.nan_to_num(np.ascontiguousarray(kept), nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(finite.clip(-_LOUDEST, _LOUDEST))
