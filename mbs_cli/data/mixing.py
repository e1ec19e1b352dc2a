"""Noisy speech and its clean target, made anew for every training step.

Clip number i is a function of the seed and i alone: any worker can make it, and a resumed run
goes on with the very clips that an undisturbed one would have seen.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.data.augmentation import Samples, in_room, low_pass, overload, random_equaliser
from mbs_cli.data.cache import AudioStore
from mbs_cli.data.config import MixingConfig

_FRAME = SAMPLE_RATE_HZ // 50  # 20 ms, for the activity of speech
_ACTIVE_BELOW_PEAK_DB = 30.0  # frames quieter than the loudest by more count as pauses


def active_rms(speech: Samples) -> float:
    """Root mean square over the 20 ms frames within 30 dB of the loudest one; 0 for silence."""
    count = max(len(speech) // _FRAME, 1)
    power = np.square(speech[: count * _FRAME], dtype=np.float64)
    frames = power[: count * (len(power) // count)].reshape(count, -1).mean(axis=1)
    loud = frames >= frames.max() * 10 ** (-_ACTIVE_BELOW_PEAK_DB / 10)
    return float(np.sqrt(frames[loud].mean()))


def scale_to_snr(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """`noise` scaled so that the active speech is `snr_db` above it; silence is left alone."""
    noise_rms = float(np.sqrt(np.square(noise, dtype=np.float64).mean()))
    if noise_rms == 0.0:
        return noise
    return noise * np.float32(active_rms(speech) / noise_rms * 10 ** (-snr_db / 20))


class GroupSampler:
    """Draws clips so that a folder with many hours does not drown the others.

    A folder (a speaker, a class of noise) is drawn with a weight of the square root of its
    length, a clip in it with a weight of its length.
    """

    def __init__(self, store: AudioStore) -> None:
        self.store = store
        folders: dict[str, list[int]] = {}
        for clip, file in enumerate(store.files):
            folders.setdefault(str(file.parent), []).append(clip)
        lengths = [np.array([store.length(clip) for clip in clips]) for clips in folders.values()]
        self.groups = [np.array(clips) for clips in folders.values()]
        self.within = [np.cumsum(group / group.sum()) for group in lengths]
        roots = np.sqrt([group.sum() for group in lengths])
        self.across = np.cumsum(roots / roots.sum())

    def draw_group(self, rng: np.random.Generator) -> int:
        """A folder."""
        return min(int(np.searchsorted(self.across, rng.random())), len(self.groups) - 1)

    def draw(self, rng: np.random.Generator, samples: int, group: int, gap: int = 0) -> Samples:
        """A stretch of that length from one folder.

        A random part of a clip, or several strung together with pauses of up to `gap` samples.
        """
        pieces: list[Samples] = []
        missing = samples
        while missing > 0:
            place = int(np.searchsorted(self.within[group], rng.random()))
            clip = int(self.groups[group][min(place, len(self.groups[group]) - 1)])
            spare = self.store.length(clip) - missing
            start = int(rng.integers(0, spare + 1)) if spare > 0 else 0
            pieces.append(self.store.read(clip, start, missing))
            missing -= len(pieces[-1])
            if gap and missing > 0:
                pieces.append(np.zeros(min(int(rng.integers(0, gap + 1)), missing), np.float32))
                missing -= len(pieces[-1])
        return np.concatenate(pieces)


class Mixer:
    """Makes training clips from decoded speech, noise and (optionally) room responses."""

    def __init__(
        self,
        speech: AudioStore,
        noise: AudioStore,
        rooms: AudioStore | None,
        config: MixingConfig,
        seed: int,
    ) -> None:
        self.speech, self.noise = GroupSampler(speech), GroupSampler(noise)
        self.rooms, self.config, self.seed = rooms, config, seed
        self.samples = round(config.segment_seconds * SAMPLE_RATE_HZ)

    def clip(self, number: int) -> tuple[Samples, Samples]:
        """Noisy input and clean target number `number`, each (segment_seconds * 16000,)."""
        rng = np.random.default_rng((self.seed, number))
        config = self.config
        level = 10 ** (rng.uniform(*config.level_dbfs) / 20)
        speech, target = self._draw_speech(rng)
        rms = active_rms(target)
        gain = np.float32(level / rms if rms > 0 else 0.0)
        speech, target = speech * gain, target * gain
        noise = scale_to_snr(target, self._draw_noise(rng), rng.uniform(*config.snr_db))
        kind = rng.random()
        if kind < config.noise_alone:
            speech, target = np.zeros_like(speech), np.zeros_like(target)
        elif kind < config.noise_alone + config.speech_alone:
            speech, noise = target, np.zeros_like(noise)
        return self._degrade(speech + noise, target, rng)

    def files_of(self, number: int) -> list[Path]:
        """The files that clip `number` is made of."""
        read: list[Path] = []
        speech, noise = (
            replace(sampler.store, on_read=read.append) for sampler in (self.speech, self.noise)
        )
        rooms = self.rooms and replace(self.rooms, on_read=read.append)
        Mixer(speech, noise, rooms, self.config, self.seed).clip(number)
        return list(dict.fromkeys(read))

    def _draw_speech(self, rng: np.random.Generator) -> tuple[Samples, Samples]:
        """The voice as the microphone gets it, and as the listener should."""
        gap = round(self.config.second_voice_gap_seconds * SAMPLE_RATE_HZ)
        speech = self.speech.draw(rng, self.samples, self.speech.draw_group(rng), gap)
        if rng.random() < self.config.equaliser:
            speech = random_equaliser(speech, rng)
        if self.rooms is None or rng.random() >= self.config.room:
            return speech, speech
        return in_room(speech, self.rooms.read(int(rng.integers(len(self.rooms.files)))))

    def _draw_noise(self, rng: np.random.Generator) -> Samples:
        noise = self.noise.draw(rng, self.samples, self.noise.draw_group(rng))
        if rng.random() < self.config.second_noise:
            other = self.noise.draw(rng, self.samples, self.noise.draw_group(rng))
            peak = float(np.abs(other).max())
            share = rng.uniform(0.2, 1.0) * float(np.abs(noise).max()) / peak if peak > 0 else 0.0
            noise = noise + np.float32(share) * other
        return random_equaliser(noise, rng) if rng.random() < self.config.equaliser else noise

    def _degrade(
        self, noisy: Samples, target: Samples, rng: np.random.Generator
    ) -> tuple[Samples, Samples]:
        """Damage of the recording chain, and never more than full scale."""
        if rng.random() < self.config.narrow_band:
            cutoff_hz = rng.uniform(3400, 7000)
            noisy, target = low_pass(noisy, cutoff_hz), low_pass(target, cutoff_hz)
        if rng.random() < self.config.overload:
            noisy = overload(noisy, rng.uniform(0.3, 0.9))
        peak = float(np.abs(noisy).max())
        if peak > 1.0:
            noisy, target = noisy / np.float32(peak), target / np.float32(peak)
        return noisy, target
