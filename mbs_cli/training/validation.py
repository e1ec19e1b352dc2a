"""Validation: the fixed utterances of held-out voices, whole, scored."""

from __future__ import annotations

import torch
from torch import nn

from mbs_cli.audio.stft import istft, stft
from mbs_cli.data.augmentation import Samples
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import score_pairs
from mbs_cli.training.validation_items import Item

METRICS = ("pesq_wb", "stoi", "si_sdr")


def selection_score(means: dict[str, float]) -> float:
    """What decides which weights are best: a point of PESQ, 0.2 of STOI or 10 dB count alike."""
    return means["pesq_wb"] + 5 * means["stoi"] + means["si_sdr"] / 10


def score_noisy(items: list[Item]) -> dict[str, float]:
    """Mean scores of the mixtures as they are."""
    return _means([ScorePair(item.name, item.clean, item.noisy) for item in items])


def score_model(model: nn.Module, items: list[Item], device: torch.device) -> dict[str, float]:
    """Mean scores of the mixtures after the model, in float32."""
    return _means(
        [ScorePair(item.name, item.clean, enhance_item(model, item, device)) for item in items]
    )


@torch.no_grad()
def enhance_item(model: nn.Module, item: Item, device: torch.device) -> Samples:
    """The model's estimate of one whole utterance."""
    noisy = torch.from_numpy(item.noisy)[None].to(device)
    estimate: Samples = istft(model(stft(noisy)), noisy.shape[1])[0].cpu().numpy()
    return estimate


def _means(pairs: list[ScorePair]) -> dict[str, float]:
    scores = score_pairs(pairs, METRICS)
    return {key: value for key, value in scores.means().items() if value is not None}
