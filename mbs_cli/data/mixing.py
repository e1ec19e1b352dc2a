"""Noisy speech and its clean target, made anew for every training step.

Clip number i is a function of the seed, i and its length alone: any worker can make it, and a
resumed run goes on with the very clips that an undisturbed one would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples
from mbs_cli.data.augmentation import (
    in_room,
    low_pass,
    overload,
    random_equaliser,
    sped_up,
    through_codec,
)
from mbs_cli.data.cache import AudioStore
from mbs_cli.data.config import MixingConfig
from mbs_cli.data.split import Recording
from mbs_cli.data.synthetic_noise import synthetic_noise

_FRAME = SAMPLE_RATE_HZ // 50  # 20 ms, for the activity of speech
_BABBLE_VOICES = (3, 8)
_FEWEST_SPEAKERS = 4  # of whom babble can be made
_SPEED_CHANGE = 0.15  # at most
_ACTIVE_BELOW_PEAK_DB = 30.0  # frames quieter than the loudest by more count as pauses
_PAUSE = 0.01  # a stretch whose peak is 40 dB below its clip's is a pause, and drawn again
_LEAST_ACTIVE = 0.3  # of a clip: one with less speech in it is drawn again,
_MOST_VOICES = 5  # so often at most: a voice may speak with long pauses
_MOST_DRAWS = 30  # of a stretch that is no pause: a recording may be little else


def active_rms(speech: Samples) -> float:
    """Root mean square over the 20 ms frames within 30 dB of the loudest one; 0 for silence."""
    frames, is_active = _activity(speech)
    return float(np.sqrt(frames[is_active].mean()))


def active_share(speech: Samples) -> float:
    """How much of the time is speech: the share of 20 ms frames within 30 dB of the loudest one."""
    return float(_activity(speech)[1].mean())


def _activity(speech: Samples) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The power of every frame, and which frames are active."""
    count = max(len(speech) // _FRAME, 1)
    power = np.square(speech[: count * _FRAME], dtype=np.float64)
    frames = power[: count * (len(power) // count)].reshape(count, -1).mean(axis=1)
    return frames, frames >= frames.max() * 10 ** (-_ACTIVE_BELOW_PEAK_DB / 10)


def scale_to_snr(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """`noise` scaled so that the active speech is `snr_db` above it; silence is left alone."""
    noise_rms = float(np.sqrt(np.square(noise, dtype=np.float64).mean()))
    if noise_rms == 0.0:
        return noise
    return noise * np.float32(active_rms(speech) / noise_rms * 10 ** (-snr_db / 20))


def within_full_scale(noisy: Samples, target: Samples) -> tuple[Samples, Samples]:
    """Both made softer by one gain, if the noisy one would be clipped."""
    peak = np.float32(max(1.0, float(np.abs(noisy).max())))
    return noisy / peak, target / peak


class ClipSource(Protocol):
    """Numbered clips whose last axis is time."""

    def __len__(self) -> int:
        """How many clips there are."""

    def length(self, number: int) -> int:
        """How many samples a clip has."""

    def peak(self, number: int) -> float:
        """The largest magnitude in a clip; 0 if it is not known."""

    def read(self, number: int, start: int = 0, count: int | None = None) -> Samples:
        """Samples of one clip from `start`, at most `count`."""


class GroupSampler:
    """Draws clips so that a group with many hours does not drown the others.

    A group (a speaker, a class of noise) is drawn with a weight of the square root of its
    length, a clip in it with a weight of its length. `groups` names the group of every clip.
    """

    def __init__(self, source: ClipSource, groups: Sequence[str]) -> None:
        self.source = source
        members: dict[str, list[int]] = {}
        for clip, group in enumerate(groups):
            members.setdefault(group, []).append(clip)
        lengths = [np.array([source.length(clip) for clip in clips]) for clips in members.values()]
        self.groups = [np.array(clips) for clips in members.values()]
        self.within = [np.cumsum(group / group.sum()) for group in lengths]
        roots = np.sqrt([group.sum() for group in lengths])
        self.across = np.cumsum(roots / roots.sum())

    def draw_group(self, rng: np.random.Generator) -> int:
        """A group."""
        return min(int(np.searchsorted(self.across, rng.random())), len(self.groups) - 1)

    def draw(self, rng: np.random.Generator, samples: int, group: int, gap: int = 0) -> Samples:
        """A stretch of that length from one group.

        A random part of a clip, or several strung together with pauses of up to `gap` samples.
        Pauses of the recordings are passed over: made as loud as speech, they would be hiss.
        """
        pieces: list[Samples] = []
        missing = samples
        while missing > 0:
            pieces.append(self._draw_piece(rng, missing, group))
            missing -= pieces[-1].shape[-1]
            if gap and missing > 0:
                pause = min(int(rng.integers(0, gap + 1)), missing)
                pieces.append(np.zeros((*pieces[-1].shape[:-1], pause), np.float32))
                missing -= pause
        return np.concatenate(pieces, axis=-1)

    def _draw_piece(self, rng: np.random.Generator, most: int, group: int) -> Samples:
        """A random part of one clip, or all of it; no pause if there is anything else."""
        for _ in range(_MOST_DRAWS):
            place = int(np.searchsorted(self.within[group], rng.random()))
            clip = int(self.groups[group][min(place, len(self.groups[group]) - 1)])
            spare = self.source.length(clip) - most
            start = int(rng.integers(0, spare + 1)) if spare > 0 else 0
            piece = self.source.read(clip, start, most)
            if np.abs(piece).max() >= _PAUSE * self.source.peak(clip):
                break
        return piece


def sampler_of(recordings: Sequence[Recording], store: AudioStore) -> GroupSampler:
    """Draws from these recordings; clip i is recording i."""
    source = store.only(recording.file for recording in recordings)
    return GroupSampler(source, [recording.group for recording in recordings])


class Mixer:
    """Makes training clips from decoded speech, noise and (optionally) room responses."""

    def __init__(
        self,
        speech: GroupSampler,
        noise: GroupSampler,
        rooms: ClipSource | None,
        config: MixingConfig,
        seed: int,
    ) -> None:
        self.speech, self.noise, self.rooms = speech, noise, rooms
        self.config, self.seed = config, seed
        self.samples = config.segment_samples

    def clip(self, number: int, times: int = 1) -> tuple[Samples, Samples]:
        """Noisy input and clean target number `number`, each (times * segment_seconds * 16000,)."""
        return self.mix(np.random.default_rng((self.seed, number)), times * self.samples)

    def mix(self, rng: np.random.Generator, samples: int) -> tuple[Samples, Samples]:
        """A noisy input and its clean target, each (samples,)."""
        config = self.config
        level = 10 ** (rng.uniform(*config.level_dbfs) / 20)
        speaker = self.speech.draw_group(rng)
        speech, target = self._draw_speech(speaker, samples, rng)
        rms = active_rms(target)
        gain = np.float32(level / rms if rms > 0 else 0.0)
        speech, target = speech * gain, target * gain
        snr_db = rng.uniform(config.snr_low_db, config.snr_high_db)
        noise = scale_to_snr(target, self._draw_noise(speaker, samples, rng), snr_db)
        kind = rng.random()
        if kind < config.noise_alone:
            speech, target = np.zeros_like(speech), np.zeros_like(target)
        elif kind < config.noise_alone + config.speech_alone:
            speech, noise = target, np.zeros_like(noise)
        return self._degrade(speech + noise, target, rng)

    def _draw_speech(
        self, speaker: int, samples: int, rng: np.random.Generator
    ) -> tuple[Samples, Samples]:
        """The voice as the microphone gets it, and as the listener should."""
        for _ in range(_MOST_VOICES):
            speech = self._draw_voice(speaker, samples, rng)
            if active_share(speech) >= _LEAST_ACTIVE:
                break
        if rng.random() < self.config.equaliser:
            speech = random_equaliser(speech, rng)
        if self.rooms is None or rng.random() >= self.config.room:
            return speech, speech
        return in_room(speech, self.rooms.read(int(rng.integers(len(self.rooms)))))

    def _draw_voice(self, speaker: int, samples: int, rng: np.random.Generator) -> Samples:
        gap = round(self.config.second_voice_gap_seconds * SAMPLE_RATE_HZ)
        if rng.random() >= self.config.speed:
            return self.speech.draw(rng, samples, speaker, gap)
        factor = rng.uniform(1 - _SPEED_CHANGE, 1 + _SPEED_CHANGE)
        before = int(np.ceil(samples * factor)) + 1
        return sped_up(self.speech.draw(rng, before, speaker, gap), factor)[:samples]

    def _draw_noise(self, speaker: int, samples: int, rng: np.random.Generator) -> Samples:
        noise = self._draw_one_noise(speaker, samples, rng)
        if rng.random() < self.config.second_noise:
            other = self.noise.draw(rng, samples, self.noise.draw_group(rng))
            peak = float(np.abs(other).max())
            share = rng.uniform(0.2, 1.0) * float(np.abs(noise).max()) / peak if peak > 0 else 0.0
            noise = noise + np.float32(share) * other
        return random_equaliser(noise, rng) if rng.random() < self.config.equaliser else noise

    def _draw_one_noise(self, speaker: int, samples: int, rng: np.random.Generator) -> Samples:
        """Recorded, made of voices other than the speaker's, or computed."""
        kind = rng.random()
        if kind < self.config.babble and len(self.speech.groups) >= _FEWEST_SPEAKERS:
            return self._babble(speaker, samples, rng)
        if self.config.babble <= kind < self.config.babble + self.config.synthetic_noise:
            return synthetic_noise(samples, rng)
        return self.noise.draw(rng, samples, self.noise.draw_group(rng))

    def _babble(self, speaker: int, samples: int, rng: np.random.Generator) -> Samples:
        """Several voices at once, each about as loud as the next."""
        babble = np.zeros(samples, np.float32)
        for _ in range(rng.integers(_BABBLE_VOICES[0], _BABBLE_VOICES[1] + 1)):
            other = speaker
            while other == speaker:
                other = self.speech.draw_group(rng)
            voice = self.speech.draw(rng, samples, other)
            rms = active_rms(voice)
            if rms > 0:
                babble += voice * np.float32(rng.uniform(0.4, 1.0) / rms)
        return babble

    def _degrade(
        self, noisy: Samples, target: Samples, rng: np.random.Generator
    ) -> tuple[Samples, Samples]:
        """Damage of the recording chain, and never more than full scale."""
        if rng.random() < self.config.narrow_band:
            cutoff_hz = rng.uniform(3400, 7000)
            noisy, target = low_pass(noisy, cutoff_hz), low_pass(target, cutoff_hz)
        if rng.random() < self.config.overload:
            noisy = overload(noisy, rng.uniform(0.3, 0.9))
        if rng.random() < self.config.codec:
            noisy = through_codec(noisy, is_opus=rng.random() < 0.5, strength=rng.random())
        return within_full_scale(noisy, target)
