"""Training clips: repeatable, at the ratio asked for, and honest about silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mbs_cli.data.augmentation import in_room, sped_up, through_codec
from mbs_cli.data.cache import AudioStore, open_store
from mbs_cli.data.config import MixingConfig
from mbs_cli.data.mixing import GroupSampler, Mixer, active_rms, active_share, scale_to_snr
from mbs_cli.data.synthetic_noise import (
    MAINS_HZ,
    coloured_noise,
    crackle,
    hum,
    synthetic_noise,
)
from mbs_cli.errors import UsageError

CLEAN = sorted((Path(__file__).resolve().parents[2] / "examples" / "clean").glob("*.flac"))
PLAIN = MixingConfig(
    babble=0.0,
    synthetic_noise=0.0,
    equaliser=0.0,
    room=0.0,
    narrow_band=0.0,
    overload=0.0,
    noise_alone=0.0,
    speech_alone=0.0,
    second_noise=0.0,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> AudioStore:
    return open_store(CLEAN, tmp_path_factory.mktemp("cache"))


def mixer_of(
    store: AudioStore, config: MixingConfig, seed: int, rooms: AudioStore | None = None
) -> Mixer:
    sampler = GroupSampler(store, [""] * len(store))
    return Mixer(sampler, sampler, rooms, config, seed)


def speech() -> np.ndarray:
    samples, _ = soundfile.read(CLEAN[0], dtype="float32")
    return samples


def test_a_clip_is_a_function_of_seed_and_number_alone(store: AudioStore) -> None:
    mixer, again = (mixer_of(store, MixingConfig(), 3) for _ in range(2))
    other_seed = mixer_of(store, MixingConfig(), 4)
    again.clip(5)
    for a, b in zip(mixer.clip(7), again.clip(7), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(mixer.clip(7)[0], mixer.clip(8)[0])
    assert not np.array_equal(mixer.clip(7)[0], other_seed.clip(7)[0])


def test_a_clip_may_be_as_long_as_several(store: AudioStore) -> None:
    mixer, again = (mixer_of(store, MixingConfig(), 3) for _ in range(2))
    for a, b in zip(mixer.clip(7, 3), again.clip(7, 3), strict=True):
        assert a.shape == (3 * 32_000,)
        np.testing.assert_array_equal(a, b)


def test_a_clip_with_little_speech_is_drawn_anew(tmp_path: Path) -> None:
    """Of a recording with speech in a tenth of it."""
    sparse = np.zeros(160_000, np.float32)
    sparse[:16_000] = 0.5 * np.random.default_rng(0).uniform(-1, 1, 16_000)
    sparse += 1e-4 * np.random.default_rng(1).uniform(-1, 1, sparse.size).astype(np.float32)
    soundfile.write(tmp_path / "sparse.flac", sparse, 16_000)
    store = open_store([tmp_path / "sparse.flac"], tmp_path / "cache")
    mixer = mixer_of(store, replace(PLAIN, segment_seconds=1.0), 0)
    shares = np.array([active_share(mixer.clip(number)[1]) for number in range(100)])
    # A stretch of noise alone is all "active"; what must not be there is a corner of the speech.
    once = mixer.speech.draw
    rng = np.random.default_rng(5)
    plain = np.array([active_share(once(rng, 16_000, 0)) for _ in range(100)])
    assert (shares < 0.3).mean() < 0.5 * (plain < 0.3).mean()


def test_every_clip_has_the_length_asked_for_and_is_finite_and_in_range(store: AudioStore) -> None:
    mixer = mixer_of(store, replace(MixingConfig(), segment_seconds=1.3), 0, store)
    for number in range(60):
        for samples in mixer.clip(number):
            assert samples.shape == (20800,)
            assert samples.dtype == np.float32
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() <= 1.0 + 1e-6


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 17.5])
def test_the_mixture_has_the_ratio_asked_for(store: AudioStore, snr_db: float) -> None:
    config = replace(PLAIN, snr_low_db=snr_db, snr_high_db=snr_db, level_dbfs=(-40.0, -40.0))
    noisy, clean = mixer_of(store, config, 1).clip(0)
    noise_rms = np.sqrt(np.mean(np.square(noisy - clean)))
    assert 20 * np.log10(active_rms(clean) / noise_rms) == pytest.approx(snr_db, abs=0.05)
    assert 20 * np.log10(active_rms(clean)) == pytest.approx(-40.0, abs=0.05)


def test_noise_alone_has_a_silent_target_and_speech_alone_is_left_as_it_is(
    store: AudioStore,
) -> None:
    noisy, target = mixer_of(store, replace(PLAIN, noise_alone=1.0), 0).clip(0)
    assert not target.any()
    assert noisy.any()
    noisy, target = mixer_of(store, replace(PLAIN, speech_alone=1.0), 0).clip(0)
    np.testing.assert_array_equal(noisy, target)
    assert target.any()


def test_pauses_do_not_count_as_speech_level() -> None:
    samples = speech()
    with_pause = np.concatenate([samples, np.zeros_like(samples)])
    assert active_rms(with_pause) == pytest.approx(active_rms(samples), rel=0.02)
    assert active_rms(np.zeros(100, np.float32)) == 0.0


@pytest.mark.parametrize("floor", [0.0, 5e-4])
def test_long_pauses_of_a_recording_do_not_become_targets(tmp_path: Path, floor: float) -> None:
    track = np.random.default_rng(0).standard_normal(30 * 16_000).astype(np.float32) * floor
    track[: len(speech())] += speech() * (0.5 / np.abs(speech()).max())
    soundfile.write(tmp_path / "side_of_a_call.wav", track, 16_000, subtype="FLOAT")
    sampler = GroupSampler(open_store([tmp_path / "side_of_a_call.wav"], tmp_path / "cache"), [""])
    mixer = Mixer(sampler, sampler, None, PLAIN, 1)
    for number in range(40):
        target = mixer.clip(number)[1]
        frames = np.sqrt(np.square(target.reshape(-1, 320)).mean(axis=1))
        assert frames.max() > 4 * frames.min()  # hiss is as loud in every frame


def test_silent_noise_is_left_alone() -> None:
    silence = np.zeros(1000, np.float32)
    assert not scale_to_snr(speech(), silence, 0.0).any()


def test_a_room_keeps_length_alignment_and_the_direct_sound() -> None:
    samples = speech()
    rir = np.zeros(4000, np.float32)
    rir[37], rir[200], rir[3000] = -0.5, 0.2, 0.1
    whole, early = in_room(samples, rir)
    assert whole.shape == early.shape == samples.shape
    np.testing.assert_allclose(whole[:100], samples[:100], atol=1e-6)
    assert not np.allclose(whole[5000:], early[5000:])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"remix": 1.1}, "--remix 1.1: expected a share"),
        ({"band_mask": -0.1}, "--band-mask -0.1: expected a share"),
        ({"room": float("nan")}, "--room nan: expected a share"),
        ({"noise_alone": 0.6, "speech_alone": 0.5}, "--noise-alone 0.6 and --speech-alone 0.5"),
        ({"segment_seconds": 0.0}, "--segment-seconds 0.0"),
        ({"snr_low_db": 5.0, "snr_high_db": -5.0}, "--snr-high-db: from 5.0 to -5.0"),
        ({"second_voice_gap_seconds": -1.0}, "a pause of -1.0 s"),
    ],
)
def test_values_that_make_no_sense_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MixingConfig(**fields)


def test_more_kinds_of_noise_and_damage_keep_every_promise(store: AudioStore) -> None:
    config = replace(MixingConfig(), babble=0.4, synthetic_noise=0.4, speed=0.5, codec=0.3)
    groups = [str(number % 4) for number in range(len(store))]
    sampler = GroupSampler(store, groups)
    mixer, again = (Mixer(sampler, sampler, store, config, 3) for _ in range(2))
    for number in range(40):
        noisy, target = mixer.clip(number)
        for samples, same in zip((noisy, target), again.clip(number), strict=True):
            np.testing.assert_array_equal(samples, same)
            assert samples.shape == (32_000,)
            assert samples.dtype == np.float32
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() <= 1.5  # a codec may overshoot


def test_babble_is_of_other_voices_and_needs_four_speakers(store: AudioStore) -> None:
    config = replace(PLAIN, babble=1.0, speech_alone=0.0)
    sampler = GroupSampler(store, [str(number) for number in range(len(store))])
    silence = GroupSampler(_Silence(), [""])
    noisy, target = Mixer(sampler, silence, None, config, 0).clip(0)
    assert active_rms(noisy - target) > 0.001
    few = GroupSampler(store, [str(number % 3) for number in range(len(store))])
    noisy, target = Mixer(few, silence, None, config, 0).clip(0)
    np.testing.assert_allclose(noisy, target, atol=1e-6)


class _Silence:
    """Ten seconds without a sound."""

    def __len__(self) -> int:
        return 1

    def length(self, number: int) -> int:
        return 160_000

    def peak(self, number: int) -> float:
        return 0.0

    def read(self, number: int, start: int = 0, count: int | None = None) -> np.ndarray:
        return np.zeros(self.length(number) if count is None else count, np.float32)


@pytest.mark.parametrize("kind", [hum, coloured_noise, crackle, synthetic_noise])
@pytest.mark.parametrize("seed", range(20))
def test_computed_noise_sounds_always(kind, seed: int) -> None:  # type: ignore[no-untyped-def]
    noise = kind(32_000, np.random.default_rng(seed))
    assert noise.shape == (32_000,)
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()
    assert noise.std() > 1e-5


@pytest.mark.parametrize("seed", range(5))
def test_hum_is_of_mains(seed: int) -> None:
    loudest_hz = np.abs(np.fft.rfft(hum(160_000, np.random.default_rng(seed)))).argmax() / 10
    order = [max(round(loudest_hz / mains_hz), 1) for mains_hz in MAINS_HZ]
    errors = [abs(loudest_hz / n / mains - 1) for n, mains in zip(order, MAINS_HZ, strict=True)]
    assert min(errors) < 0.012


def test_coloured_noise_goes_from_white_to_brown() -> None:
    noises = [coloured_noise(32_000, np.random.default_rng(seed)) for seed in range(20)]
    tilts = [np.diff(noise).std() / noise.std() for noise in noises]  # white: 1.41
    assert min(tilts) < 0.3
    assert max(tilts) > 1.0


def test_a_faster_voice_is_shorter_and_higher() -> None:
    seconds = np.arange(16_000) / 16_000
    faster = sped_up(np.sin(2 * np.pi * 1000 * seconds).astype(np.float32), 1.25)
    assert faster.shape == (12_800,)
    assert np.abs(np.fft.rfft(faster)).argmax() == 1000  # of 0.8 s: 1250 Hz


@pytest.mark.parametrize("is_opus", [True, False])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_codec_does_damage_and_keeps_time(is_opus: bool, strength: float) -> None:
    voice = speech()[:32_000]
    coded = through_codec(voice, is_opus=is_opus, strength=strength)
    assert coded.shape == voice.shape
    padded = [np.fft.rfft(samples, 64_000) for samples in (voice, coded)]
    lag = int(np.fft.irfft(padded[1] * padded[0].conj()).argmax())
    assert lag == 0
    ratio_db = 10 * np.log10(np.square(voice).sum() / np.square(coded - voice).sum())
    assert 3 < ratio_db < 30
