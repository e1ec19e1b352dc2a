"""Clips from pairs: aligned, repeatable, with the noise that was in the pair or in another."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mbs_cli.data.augmentation import band_stop, random_band_hz
from mbs_cli.data.cache import AudioStore, files_read, open_store
from mbs_cli.data.config import MixingConfig
from mbs_cli.data.mixing import active_rms
from mbs_cli.data.pairs import PairMixer, PairNoise, PairStore
from mbs_cli.data.split import Pair

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PAIRS = [
    Pair(clean, EXAMPLES / "noisy" / clean.name, clean.name[:2])
    for clean in sorted((EXAMPLES / "clean").glob("*.flac"))
]
RECORDED = replace(MixingConfig(), remix=0.0)
REMIXED = replace(
    MixingConfig(), remix=1.0, second_noise=0.0, overload=0.0, equaliser=0.0, narrow_band=0.0
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> AudioStore:
    files = [file for pair in PAIRS for file in (pair.clean, pair.noisy)]
    return open_store(files, tmp_path_factory.mktemp("cache"))


def mixer_of(store: AudioStore, config: MixingConfig, seed: int = 1) -> PairMixer:
    return PairMixer(PairStore(store, PAIRS), [pair.group for pair in PAIRS], config, seed)


def find(needle: np.ndarray, haystack: np.ndarray) -> tuple[int, float]:
    """Where a piece is, and how well it correlates there."""
    size = 1 << int(np.ceil(np.log2(len(haystack) + len(needle))))
    product = np.fft.rfft(haystack, size) * np.conj(np.fft.rfft(needle, size))
    place = int(np.fft.irfft(product, size)[: len(haystack) - len(needle) + 1].argmax())
    there = haystack[place : place + len(needle)]
    return place, float(np.corrcoef(needle, there)[0, 1])


def test_recorded_clips_are_the_same_stretch_of_both_sides_at_one_gain(store: AudioStore) -> None:
    mixer, pairs = mixer_of(store, RECORDED), PairStore(store, PAIRS)
    for number in range(5):
        noisy, target = mixer.clip(number)
        found = [(find(noisy, pairs.read(pair)[0]), pair) for pair in range(len(PAIRS))]
        (place, match), pair = max(found, key=lambda entry: entry[0][1])
        assert match > 0.9999
        original = pairs.read(pair, place, len(noisy))
        gain = np.abs(noisy).max() / np.abs(original[0]).max()
        np.testing.assert_allclose(target, gain * original[1], atol=1e-5)


def test_remixed_clips_hold_clean_speech_and_the_noise_of_a_pair(store: AudioStore) -> None:
    mixer = mixer_of(
        store, replace(REMIXED, snr_low_db=5.0, snr_high_db=5.0, noise_alone=0.0, speech_alone=0.0)
    )
    noise = PairNoise(PairStore(store, PAIRS))
    found = []
    for number in range(8):
        noisy, target = mixer.clip(number)
        ratio = active_rms(target) / np.sqrt(np.mean(np.square(noisy - target)))
        assert 20 * np.log10(ratio) == pytest.approx(5.0, abs=0.1)
        found += [max(find(noisy - target, noise.read(pair))[1] for pair in range(len(PAIRS)))]
    # `find` takes the place of the largest product, which a louder stretch elsewhere may win.
    assert np.median(found) > 0.999


def test_a_clip_is_a_function_of_seed_and_number_alone(store: AudioStore) -> None:
    config = replace(MixingConfig(), band_mask=0.2)
    mixer, again = mixer_of(store, config), mixer_of(store, config)
    again.clip(5)
    for number in range(6):
        for a, b in zip(mixer.clip(number), again.clip(number), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(mixer.clip(1)[0], mixer.clip(2)[0])
    assert not np.array_equal(mixer.clip(1)[0], mixer_of(store, config, seed=2).clip(1)[0])


@pytest.mark.parametrize("seconds", [0.5, 2.0, 15.0])
def test_clips_have_the_length_asked_for_though_pairs_are_shorter(
    store: AudioStore, seconds: float
) -> None:
    config = replace(MixingConfig(), segment_seconds=seconds, remix=0.5, band_mask=0.2)
    for number in range(6):
        for samples in mixer_of(store, config).clip(number):
            assert samples.shape == (round(seconds * 16000),)
            assert samples.dtype == np.float32
            assert np.isfinite(samples).all()


def test_a_band_is_cut_out_of_both_sides(store: AudioStore) -> None:
    both = PairStore(store, PAIRS).read(0)
    left = np.abs(np.fft.rfft(band_stop(both, 1000.0, 2000.0)))
    whole = np.abs(np.fft.rfft(both))
    hz = np.fft.rfftfreq(both.shape[-1], 1 / 16000)
    inside = (hz >= 1000) & (hz < 2000)
    assert left[:, inside].max() < 1e-3 * whole.max()
    np.testing.assert_allclose(left[:, ~inside], whole[:, ~inside], atol=1e-3 * whole.max())


def test_bands_are_no_wider_than_asked_for() -> None:
    rng = np.random.default_rng(0)
    highest_mel = 2595 * np.log10(1 + 8000 / 700)
    for _ in range(200):
        low_hz, high_hz = random_band_hz(0.2, rng)
        mels = [2595 * np.log10(1 + hz / 700) for hz in (low_hz, high_hz)]
        assert 0 <= mels[1] - mels[0] <= 0.2 * highest_mel + 1e-6


def test_a_mixer_is_small_enough_to_be_sent_to_a_worker(store: AudioStore) -> None:
    mixer = mixer_of(store, MixingConfig())
    mixer.clip(0)
    sent = pickle.dumps(mixer)
    assert len(sent) < 20_000  # where the audio is, and not the audio
    np.testing.assert_array_equal(pickle.loads(sent).clip(4)[0], mixer.clip(4)[0])


def test_the_files_of_a_clip_are_those_that_it_is_made_of(store: AudioStore) -> None:
    sides = {file: pair for pair in PAIRS for file in (pair.clean, pair.noisy)}
    recorded, remixed = (mixer_of(store, config) for config in (RECORDED, REMIXED))
    for number in range(8):
        of_one = files_read(lambda number=number: recorded.clip(number))
        assert len({sides[file].group for file in of_one}) == 1
        assert {file.parent.name for file in of_one} == {"clean", "noisy"}
        of_two = files_read(lambda number=number: remixed.clip(number))
        assert set(of_two) > {sides[file].clean for file in of_two if file.parent.name == "noisy"}
    assert not files_read(lambda: None)
