"""A training folder of real speech and noise, made of the example pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from clips import EXAMPLES, read_clips
from torch import Tensor

from mbs_cli.data.config import MixingConfig
from mbs_cli.training.config import TrainConfig


@pytest.fixture(scope="module")
def noisy() -> Tensor:
    return read_clips("noisy")


@pytest.fixture(scope="module")
def clean() -> Tensor:
    return read_clips("clean")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ and valid/ with clean speech and, as noise, what the noisy examples add to it."""
    root = tmp_path_factory.mktemp("data")
    for number, clean in enumerate(sorted((EXAMPLES / "clean").glob("*.flac"))):
        split, samples = ("valid", 40_000) if number < 2 else ("train", -1)
        speech, rate_hz = soundfile.read(clean, samples, dtype="float32")
        noisy, _ = soundfile.read(EXAMPLES / "noisy" / clean.name, samples, dtype="float32")
        for kind, samples in (("clean", speech), ("noise", noisy - speech)):
            folder = root / split / kind / clean.stem
            folder.mkdir(parents=True)
            soundfile.write(folder / f"{clean.stem}.wav", samples, rate_hz, subtype="FLOAT")
    return root


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def config(data: Path, cache: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data=data,
        out=tmp_path / "run",
        model="mbs-net-small",
        switches=("features=8", "layers=1", "decoder_hidden=8"),
        steps=6,
        batch_size=2,
        warmup_steps=2,
        device="cpu",
        workers=0,
        validation_items=1,
        tensorboard=False,
        cache=cache,
        mixing=MixingConfig(segment_seconds=1.0, babble=0.0, synthetic_noise=0.0),
    )
