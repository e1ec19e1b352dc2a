"""Validation: the fixed utterances of held-out voices, whole, scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import istft, stft
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import score_pairs
from mbs_cli.scoring.score import PairScore, Scores
from mbs_cli.training.events import Clip
from mbs_cli.training.validation_items import Item

_SELECTION_WEIGHTS = {"pesq_wb": 1.0, "stoi": 5.0, "si_sdr": 0.1}
METRICS = tuple(_SELECTION_WEIGHTS)
CLIPS = 3  # utterances to listen to, the same in every validation

OnItem = Callable[[int, int], None]


@dataclass(frozen=True)
class HeldOutScores:
    """Mean scores by metric; one without any value is missing."""

    means: dict[str, float]
    by_snr_db: dict[str, dict[str, float]]  # of those near -5 dB, near 0 dB, ...


def selection_score(means: dict[str, float]) -> float:
    """What decides which weights are best: a point of PESQ, 0.2 of STOI or 10 dB count alike.

    A metric that is missing, where its package is not to be had, does not count.
    """
    return sum(weight * means.get(metric, 0.0) for metric, weight in _SELECTION_WEIGHTS.items())


def score_noisy(items: list[Item], on_item: OnItem = lambda *_: None) -> HeldOutScores:
    """Mean scores of the noisy sides; `on_item` gets how many of how many are done."""
    return _score(items, (item.noisy for item in items), on_item)


def score_model(
    model: nn.Module,
    items: list[Item],
    device: torch.device,
    on_item: OnItem = lambda *_: None,
) -> tuple[HeldOutScores, tuple[Clip, ...]]:
    """Mean scores of the model's estimates, in float32, and the first utterances to hear."""
    clips: list[Clip] = []

    def estimates() -> Iterator[Samples]:
        for item in items:
            estimate = enhance_item(model, item, device)
            if len(clips) < CLIPS:
                clips.append(Clip(item.name, item.noisy, item.clean, estimate))
            yield estimate

    return _score(items, estimates(), on_item), tuple(clips)


@torch.no_grad()
def enhance_item(model: Any, item: Item, device: torch.device) -> Samples:
    """The model's estimate of one whole utterance."""
    noisy = torch.from_numpy(item.noisy)[None].to(device)
    estimate = model(stft(noisy, model.framing))
    enhanced: Samples = istft(estimate, noisy.shape[1], model.framing)[0].cpu().numpy()
    return enhanced


def _score(items: list[Item], estimates: Iterator[Samples], on_item: OnItem) -> HeldOutScores:
    """The estimates are drawn one by one while earlier ones are scored in child processes."""
    pairs = (
        ScorePair(item.name, item.clean, estimate)
        for item, estimate in zip(items, estimates, strict=True)
    )
    scores = score_pairs(pairs, METRICS, on_scored=lambda done, _: on_item(done, len(items)))
    bands: dict[int, list[PairScore]] = {}
    for item, row in zip(items, scores.rows, strict=True):
        bands.setdefault(item.snr_band_db, []).append(row)
    return HeldOutScores(
        _defined_means(scores),
        {
            str(band): _defined_means(Scores(scores.metrics, tuple(rows)))
            for band, rows in sorted(bands.items())
        },
    )


def _defined_means(scores: Scores) -> dict[str, float]:
    return {key: value for key, value in scores.means().items() if value is not None}
