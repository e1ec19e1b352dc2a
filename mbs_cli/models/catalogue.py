"""What is known about the shipped weights: cost, speed and scores, and which model is for whom.

`mbs_cli/weights/catalogue.json` is written by `python benchmarks/shipped.py`; the hash of the
weights in it tells whether it still is about the files beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mbs_cli.models.config import PRESETS

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
CATALOGUE = WEIGHTS / "catalogue.json"
FAST, BEST = "fast", "best"
QUALITY = "covl"  # predicts the rating of the whole by listeners (Hu and Loizou 2008)
_DEFAULT_REAL_TIME_FACTOR = 0.2  # the slowest that the default model may be
_WINDOW_MS = 32  # of the STFT; no causal model looks further ahead


@dataclass(frozen=True)
class ShippedModel:
    """One file of weights. Scores are means over held-out pairs, by metric."""

    name: str
    weights_sha256: str
    file_bytes: int
    parameters: int
    macs_per_second: int  # multiply-adds per second of audio
    real_time_factor: float  # on two CPU threads
    scores: dict[str, float]

    @property
    def latency_ms(self) -> int | None:
        """Of a stream; None for a model that needs to hear what comes."""
        return _WINDOW_MS if PRESETS[self.name].is_causal else None


@cache
def catalogue() -> dict[str, ShippedModel]:
    """Every shipped model by its name."""
    entries = json.loads(CATALOGUE.read_text(encoding="utf-8"))["models"]
    return {entry["name"]: ShippedModel(**entry) for entry in entries}


def choices() -> dict[str, str]:
    """The models that go by another name: the fastest, and the one that sounds best."""
    models = catalogue().values()
    fast = min(models, key=lambda model: model.real_time_factor)
    best = max(models, key=lambda model: model.scores[QUALITY])
    return {FAST: fast.name, BEST: best.name}


def default_model(*, live: bool = False) -> str:
    """The best of those that take under a fifth of the time that they enhance, else the fastest.

    With `live` only of those that need not hear what comes.
    """
    fit = [m for m in catalogue().values() if not live or m.latency_ms is not None]
    quick = [model for model in fit if model.real_time_factor < _DEFAULT_REAL_TIME_FACTOR]
    if not quick:
        return min(fit, key=lambda model: model.real_time_factor).name
    return max(quick, key=lambda model: model.scores[QUALITY]).name
