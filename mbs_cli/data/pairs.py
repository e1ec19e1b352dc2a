"""Training clips from pairs: as they were recorded, or with the noise of another pair.

Clip number i is a function of the seed, i and its length alone, as in mbs_cli/data/mixing.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mbs_cli.audio.samples import Samples
from mbs_cli.data.augmentation import band_stop, random_band_hz
from mbs_cli.data.cache import AudioStore
from mbs_cli.data.config import MixingConfig
from mbs_cli.data.mixing import GroupSampler, Mixer, active_rms, within_full_scale
from mbs_cli.data.split import Pair


class PairStore:
    """Pairs as clips (2, S) of a noisy and a clean row, as long as both last."""

    def __init__(self, store: AudioStore, pairs: Sequence[Pair]) -> None:
        self.noisy = store.only(pair.noisy for pair in pairs)
        self.clean = store.only(pair.clean for pair in pairs)

    def __len__(self) -> int:
        return len(self.noisy)

    def length(self, number: int) -> int:
        """How many samples a pair has."""
        return min(self.noisy.length(number), self.clean.length(number))

    def peak(self, number: int) -> float:
        """The largest magnitude on the noisy side of a pair."""
        return self.noisy.peak(number)

    def read(self, number: int, start: int = 0, count: int | None = None) -> Samples:
        """Samples (2, S) of one pair from `start`, at most `count`."""
        last = self.length(number) if count is None else min(self.length(number), start + count)
        sides = (side.read(number, start, last - start) for side in (self.noisy, self.clean))
        return np.stack(list(sides))


class PairNoise:
    """What was added to the clean side of every pair."""

    def __init__(self, pairs: PairStore) -> None:
        self._pairs = pairs
        self.length = pairs.length

    def __len__(self) -> int:
        return len(self._pairs)

    def peak(self, number: int) -> float:  # noqa: ARG002 - as every ClipSource has it
        """Not known without a look at all of it."""
        return 0.0

    def read(self, number: int, start: int = 0, count: int | None = None) -> Samples:
        """Samples (S,) of the noise of one pair from `start`, at most `count`."""
        noisy, clean = self._pairs.read(number, start, count)
        noise: Samples = noisy - clean
        return noise


class PairMixer:
    """Makes training clips from decoded pairs; `groups` names the speaker of every one."""

    def __init__(
        self, pairs: PairStore, groups: Sequence[str], config: MixingConfig, seed: int
    ) -> None:
        self.pairs = GroupSampler(pairs, groups)
        speech, noise = GroupSampler(pairs.clean, groups), GroupSampler(PairNoise(pairs), groups)
        self.mixer = Mixer(speech, noise, None, config, seed)
        self.config, self.seed = config, seed

    def clip(self, number: int, times: int = 1) -> tuple[Samples, Samples]:
        """Noisy input and clean target number `number`, each (times * segment_seconds * 16000,)."""
        rng = np.random.default_rng((self.seed, number))
        samples = times * self.mixer.samples
        is_remixed = rng.random() < self.config.remix
        noisy, target = (self.mixer.mix if is_remixed else self._as_recorded)(rng, samples)
        if self.config.band_mask > 0:
            band_hz = random_band_hz(self.config.band_mask, rng)
            noisy, target = band_stop(np.stack([noisy, target]), *band_hz)
        return noisy, target

    def _as_recorded(self, rng: np.random.Generator, samples: int) -> tuple[Samples, Samples]:
        """A stretch of a pair at a random level; its ratio and its sound stay as they are."""
        level = 10 ** (rng.uniform(*self.config.level_dbfs) / 20)
        group = self.pairs.draw_group(rng)
        noisy, target = self.pairs.draw(rng, samples, group)
        rms = active_rms(noisy)
        gain = np.float32(level / rms if rms > 0 else 1.0)
        return within_full_scale(noisy * gain, target * gain)
