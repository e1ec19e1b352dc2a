"""A reference and an estimate to be compared, from files or from memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable


@dataclass(frozen=True)
class ScorePair:
    """Each side is a path, or an array (S,) at 16 kHz with full scale at 1."""

    name: str
    reference: Path | NDArray[np.float32]
    estimate: Path | NDArray[np.float32]

    def load(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Both signals as arrays.

        Raises:
            NotApplicable: a file cannot be read, is not mono, or is not sampled at 16 kHz.
        """
        return _samples(self.reference), _samples(self.estimate)


def _samples(source: Path | NDArray[Any]) -> NDArray[Any]:
    return _read(source) if isinstance(source, Path) else source


def _read(path: Path) -> NDArray[Any]:
    import soundfile

    try:
        samples, sample_rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise NotApplicable(f"{path} cannot be read: {error}") from error
    if samples.shape[1] != 1:
        raise NotApplicable(f"{path} has {samples.shape[1]} channels, expected 1")
    if sample_rate_hz != SAMPLE_RATE_HZ:
        raise NotApplicable(f"{path} is sampled at {sample_rate_hz} Hz, expected {SAMPLE_RATE_HZ}")
    return np.asarray(samples[:, 0])
