"""Data folders of real speech, laid out in the ways that users have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = sorted(path.name for path in (EXAMPLES / "clean").glob("*.flac"))

CopyPair = Callable[..., None]


@pytest.fixture
def copy_pair() -> CopyPair:
    """Copy the first seconds of an example pair to two paths, at any rate."""

    def copy(number: int, clean: Path, noisy: Path, rate_hz: int = 16000, seconds: float = 1.5):
        for side, target in (("clean", clean), ("noisy", noisy)):
            samples, _ = soundfile.read(EXAMPLES / side / NAMES[number % 8], dtype="float32")
            samples = samples[8000 : 8000 + round(16000 * seconds)]
            if rate_hz != 16000:
                samples = soxr.resample(samples, 16000, rate_hz)
            target.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(target, np.clip(samples, -1, 1), rate_hz)

    return copy


@pytest.fixture
def voicebank(tmp_path: Path, copy_pair: CopyPair) -> Path:
    """Four speakers and a test set, named and sampled as VoiceBank+DEMAND is distributed."""
    root = tmp_path / "voicebank"
    for number, speaker in enumerate(("p226", "p243", "p286", "p287")):
        for take in (1, 2):
            name = f"{speaker}_{take:03d}.wav"
            folders = (root / f"{side}_trainset_28spk_wav" for side in ("clean", "noisy"))
            copy_pair(2 * number + take - 1, *(folder / name for folder in folders), 48000)
    folders = (root / f"{side}_testset_wav" for side in ("clean", "noisy"))
    copy_pair(0, *(folder / "p232_001.wav" for folder in folders), 48000)
    return root
