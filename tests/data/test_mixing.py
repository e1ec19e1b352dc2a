"""Training clips: repeatable, at the ratio asked for, and honest about silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mbs_cli.data.augmentation import in_room
from mbs_cli.data.cache import AudioStore, open_store
from mbs_cli.data.config import MixingConfig
from mbs_cli.data.mixing import GroupSampler, Mixer, active_rms, scale_to_snr
from mbs_cli.errors import UsageError

CLEAN = sorted((Path(__file__).resolve().parents[2] / "examples" / "clean").glob("*.flac"))
PLAIN = MixingConfig(
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
    config = replace(PLAIN, snr_db=(snr_db, snr_db), level_dbfs=(-40.0, -40.0))
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
        ({"snr_db": (5.0, -5.0)}, "snr_db from 5.0 to -5.0"),
        ({"second_voice_gap_seconds": -1.0}, "a pause of -1.0 s"),
    ],
)
def test_values_that_make_no_sense_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MixingConfig(**fields)
