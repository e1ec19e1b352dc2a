"""The fixed utterances that a run is validated on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples
from mbs_cli.data.cache import AudioStore
from mbs_cli.data.mixing import active_rms, sampler_of, scale_to_snr, within_full_scale
from mbs_cli.data.pairs import PairStore
from mbs_cli.data.split import Pair, Split

SNRS_DB = (-5.0, 0.0, 5.0, 10.0, 15.0)
LONGEST_SECONDS = 12
_SEED = 20_000  # the mixtures are the same in every run, whatever its seed
_QUIETEST = 1e-5  # an RMS below it counts as this: -100 dB of full scale
_BAND_DB = 5  # scores are also told by the nearest multiple of this


@dataclass(frozen=True)
class Item:
    """A held-out utterance with and without noise, at 16 kHz."""

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


def validation_items(split: Split, store: AudioStore, count: int) -> list[Item]:
    """At most `count` pairs as they are, or `count` mixtures; the same in every run."""
    if split.pairs:
        return _paired_items(split.pairs, store, count)
    return _mixed_items(split, store, count)


def _mixed_items(split: Split, store: AudioStore, count: int) -> list[Item]:
    """Mixtures that go in turn through the speakers, noise classes and SNRS_DB."""
    speech, noise = sampler_of(split.clean, store), sampler_of(split.noise, store)
    items = []
    for number in range(count):
        rng = np.random.default_rng((_SEED, number))
        voices = speech.groups[number % len(speech.groups)]
        clip = int(voices[rng.integers(len(voices))])
        clean = speech.source.read(clip, 0, LONGEST_SECONDS * SAMPLE_RATE_HZ)
        background = noise.draw(rng, len(clean), number % len(noise.groups))
        noisy = clean + scale_to_snr(clean, background, _snr_db(number))
        items.append(Item(split.clean[clip].file.stem, *within_full_scale(noisy, clean)))
    return items


def _snr_db(number: int) -> float:
    """In turn, and one further every time round, lest a class of noise always meets the same."""
    return SNRS_DB[(number + number // len(SNRS_DB)) % len(SNRS_DB)]


def _paired_items(pairs: Sequence[Pair], store: AudioStore, count: int) -> list[Item]:
    """Pairs in turn from every speaker, spread over what each of them said."""
    by_speaker: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_speaker.setdefault(pair.group, []).append(pair)
    each = -(-count // len(by_speaker))
    spread = [said[:: max(1, len(said) // each)] for said in by_speaker.values()]
    chosen = [said[turn] for turn in range(each) for said in spread if turn < len(said)][:count]
    source = PairStore(store, chosen)
    items = []
    for number, pair in enumerate(chosen):
        noisy, clean = source.read(number, 0, LONGEST_SECONDS * SAMPLE_RATE_HZ)
        items.append(Item(pair.noisy.stem, noisy, clean))
    return items
