"""The same second of two examples."""

from __future__ import annotations

from pathlib import Path

import soundfile
import torch
from torch import Tensor

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def read_clips(kind: str) -> Tensor:
    """Samples (2, 16000) of the noisy or clean ones."""
    files = sorted((EXAMPLES / kind).glob("*.flac"))[:2]
    clips = [soundfile.read(path, dtype="float32")[0][16_000:32_000] for path in files]
    return torch.stack([torch.from_numpy(clip) for clip in clips])
