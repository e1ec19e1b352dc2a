"""What the benchmarks work on: the real noisy speech of examples/noisy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

NOISY = Path(__file__).resolve().parents[1] / "examples" / "noisy"
RATE_HZ = 16_000


def joined_examples() -> NDArray[np.float32]:
    """All examples one after the other, (S,)."""
    clips = [soundfile.read(file, dtype="float32")[0] for file in sorted(NOISY.glob("*.flac"))]
    return np.concatenate(clips)


def noisy_speech(seconds: float) -> NDArray[np.float32]:
    """The examples over and over for that long, (S,)."""
    return np.resize(joined_examples(), round(seconds * RATE_HZ))
