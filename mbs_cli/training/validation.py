"""Validation: fixed mixtures of held-out voices and noises, whole utterances, scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.stft import istft, stft
from mbs_cli.data.mixing import GroupSampler, Mixer, active_rms, scale_to_snr
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import score_pairs
from mbs_cli.scoring.score import PairScore, Scores
from mbs_cli.training.events import Clip, Samples

SNRS_DB = (-5.0, 0.0, 5.0, 10.0, 15.0)
METRICS = ("pesq_wb", "stoi", "si_sdr")
LONGEST_SECONDS = 12
CLIPS = 3  # mixtures to listen to, the same in every validation
_SEED = 20_000  # the mixtures are the same in every run, whatever its seed
_QUIETEST = 1e-5  # an RMS below it counts as this: -100 dB of full scale
_BAND_DB = 5  # scores are also told by the nearest multiple of this

OnItem = Callable[[int, int], None]


@dataclass(frozen=True)
class Item:
    """One mixture of a held-out utterance and noise, at 16 kHz."""

    name: str
    noisy: Samples
    clean: Samples

    @property
    def snr_band_db(self) -> int:
        """The signal-to-noise ratio of its active speech, to the nearest 5 dB."""
        speech = active_rms(self.clean)
        noise = float(np.sqrt(np.square(self.noisy - self.clean, dtype=np.float64).mean()))
        ratio_db = 20 * math.log10(max(speech, _QUIETEST) / max(noise, _QUIETEST))
        return _BAND_DB * round(ratio_db / _BAND_DB)


@dataclass(frozen=True)
class HeldOutScores:
    """Mean scores by metric; one without any value is missing."""

    means: dict[str, float]
    by_snr_db: dict[str, dict[str, float]]  # of the mixtures near -5 dB, near 0 dB, ...


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


def score_noisy(items: list[Item], on_item: OnItem = lambda *_: None) -> HeldOutScores:
    """Mean scores of the mixtures as they are; `on_item` gets how many of how many are done."""
    return _score(items, (item.noisy for item in items), on_item)


def score_model(
    model: nn.Module,
    items: list[Item],
    device: torch.device,
    on_item: OnItem = lambda *_: None,
) -> tuple[HeldOutScores, tuple[Clip, ...]]:
    """Mean scores of the mixtures after the model, in float32, and the first of them to hear."""
    clips: list[Clip] = []

    def estimates() -> Iterator[Samples]:
        for item in items:
            estimate = enhance_item(model, item, device)
            if len(clips) < CLIPS:
                clips.append(Clip(item.name, item.noisy, item.clean, estimate))
            yield estimate

    return _score(items, estimates(), on_item), tuple(clips)


@torch.no_grad()
def enhance_item(model: nn.Module, item: Item, device: torch.device) -> Samples:
    """The model's estimate of one whole utterance."""
    noisy = torch.from_numpy(item.noisy)[None].to(device)
    estimate: Samples = istft(model(stft(noisy)), noisy.shape[1])[0].cpu().numpy()
    return estimate


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
