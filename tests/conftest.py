"""Real speech, a small untrained model, and the command as a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.models.checkpoint import save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import PRESETS
from mbs_cli.models.registry import build_model

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

MbsRunner = Callable[..., "subprocess.CompletedProcess[str]"]

# A shell that starts the tests in the background has Ctrl-C ignored, by whatever they start, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Passthrough(nn.Module):
    """A causal model that changes nothing: whatever differs afterwards was done by the code."""

    is_causal = True
    framing = FRAMES_16_MS

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, spectrum: Tensor) -> Tensor:
        return spectrum * self.gain

    def stream(self, spectrum: Tensor, state: None) -> tuple[Tensor, None]:
        return spectrum * self.gain, state

    def look_ahead(
        self, spectrum: Tensor, state: None, kept: int, shown: int
    ) -> tuple[Tensor, None]:
        return spectrum[:, :, :shown] * self.gain, state


@pytest.fixture
def passthrough() -> Passthrough:
    return Passthrough()


@pytest.fixture(scope="session")
def small_model() -> nn.Module:
    torch.manual_seed(0)
    return build_model(PRESETS["mbs-net-small"]).eval()


@pytest.fixture(scope="session")
def small_checkpoint(small_model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_checkpoint(path, small_model, CheckpointInfo(preset="mbs-net-small"))
    return path


@pytest.fixture(scope="session")
def noisy_file() -> Path:
    return EXAMPLES / "noisy" / "en_babble_5db.flac"


@pytest.fixture(scope="session")
def noisy_speech(noisy_file: Path) -> NDArray[np.float32]:
    """About 5 s at 16 kHz."""
    samples, _ = soundfile.read(noisy_file, dtype="float32")
    return samples


@pytest.fixture(scope="session")
def wide_band_speech(noisy_speech: NDArray[np.float32]) -> Callable[..., NDArray[np.float32]]:
    """Two seconds of speech at any rate, with something in every band, shaped (S, channels)."""

    def make(rate_hz: int, channels: int = 1) -> NDArray[np.float32]:
        speech = soxr.resample(noisy_speech[16_000:48_000], 16_000, rate_hz)
        hiss = np.random.default_rng(0).standard_normal((len(speech), channels)) * 0.01
        scale = np.linspace(1, 0.5, channels)
        return (speech[:, None] * scale + hiss).astype(np.float32)

    return make


@pytest.fixture
def run_mbs(tmp_path: Path) -> MbsRunner:
    """Run `mbs`, or a Python script, as a process of its own, in `tmp_path`."""

    def run(
        *arguments: object, script: str = "", **options: object
    ) -> subprocess.CompletedProcess[str]:
        what = ["-c", script] if script else ["-m", "mbs_cli"]
        return subprocess.run(
            [sys.executable, *what, *map(str, arguments)],
            check=False,
            **{
                "cwd": tmp_path,
                "capture_output": True,
                "text": True,
                "timeout": 120,
                "env": {**os.environ, "COLUMNS": "200"},
                **options,
            },
        )

    return run
