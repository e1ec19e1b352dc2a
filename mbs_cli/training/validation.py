"""Validation: fixed mixtures of held-out voices and noises, whole utterances, scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.stft import istft, stft
from mbs_cli.data.mixing import GroupSampler, Mixer, scale_to_snr
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import score_pairs

SNRS_DB = (-5.0, 0.0, 5.0, 10.0, 15.0)
METRICS = ("pesq_wb", "stoi", "si_sdr")
LONGEST_SECONDS = 12
_SEED = 20_000  # the mixtures are the same in every run, whatever its seed

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """One mixture of a held-out utterance and noise, at 16 kHz."""

    name: str
    noisy: Samples
    clean: Samples


def selection_score(means: dict[str, float]) -> float:
    """What decides which weights are best: a point of PESQ, 0.2 of STOI or 10 dB count alike."""
    return means["pesq_wb"] + 5 * means["stoi"] + means["si_sdr"] / 10


def validation_items(mixer: Mixer, count: int) -> list[Item]:
    """`count` mixtures that go in turn through the speakers, noise classes and SNRS_DB."""
    speech, noise = mixer.speech, mixer.noise
    return [_item(speech, noise, number) for number in range(count)]


def _item(speech: GroupSampler, noise: GroupSampler, number: int) -> Item:
    rng = np.random.default_rng((_SEED, number))
    voices = speech.groups[number % len(speech.groups)]
    clip = int(voices[rng.integers(len(voices))])
    clean = speech.store.read(clip, 0, LONGEST_SECONDS * SAMPLE_RATE_HZ)
    background = noise.draw(rng, len(clean), number % len(noise.groups))
    noisy = clean + scale_to_snr(clean, background, SNRS_DB[number % len(SNRS_DB)])
    peak = max(1.0, float(np.abs(noisy).max()))
    return Item(speech.store.files[clip].stem, noisy / np.float32(peak), clean / np.float32(peak))


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
