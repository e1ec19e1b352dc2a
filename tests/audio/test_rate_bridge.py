"""Any sample rate comes back with its length, its timing and what lies above 8 kHz."""

from __future__ import annotations

import numpy as np
import pytest

from mbs_cli.audio.high_band import HighBandGain
from mbs_cli.audio.rate_bridge import RateBridge

RATES_HZ = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]


def cross(signal, rate_hz, block_samples, gain=1.0):
    """There and back in blocks, the model's part being a plain gain."""
    bridge = RateBridge(rate_hz, len(signal))
    pieces = [
        bridge.from_model(gain * bridge.to_model(signal[:, start : start + block_samples]))
        for start in range(0, signal.shape[1], block_samples)
    ]
    ending = bridge.to_model(signal[:, :0], last=True)
    pieces.append(bridge.from_model(gain * ending, last=True))
    return np.concatenate(pieces, axis=1)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_unchanged_signal_comes_back_at_every_rate(rate_hz, wide_band_speech):
    signal = wide_band_speech(rate_hz, channels=2).T
    returned = cross(signal, rate_hz, block_samples=rate_hz // 3)
    assert returned.shape == signal.shape
    inside = slice(rate_hz // 10, -rate_hz // 10)
    # At 16 kHz nothing happens; above, the high band repairs the rest; below, speech up to the
    # resampler's transition band is kept.
    allowed = 1e-5 if rate_hz >= 16_000 else 0.05
    assert np.abs(returned - signal)[:, inside].max() < allowed


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_an_impulse_stays_where_it_is(rate_hz):
    signal = np.zeros((1, rate_hz), dtype=np.float32)
    signal[0, rate_hz // 3] = 1.0
    returned = cross(signal, rate_hz, block_samples=1_000)
    assert np.abs(returned[0]).argmax() == rate_hz // 3


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_block_size_does_not_matter(rate_hz, wide_band_speech):
    signal = wide_band_speech(rate_hz).T
    whole = cross(signal, rate_hz, signal.shape[1], gain=0.3)
    for block_samples in (97, 4_001):
        pieces = cross(signal, rate_hz, block_samples, gain=0.3)
        assert np.abs(pieces - whole).max() < 1e-5


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000, 384_001])
@pytest.mark.parametrize("samples", [1, 2, 5, 99, 1_001])
def test_short_signals_keep_their_length(rate_hz, samples):
    signal = np.full((2, samples), 0.1, dtype=np.float32)
    assert cross(signal, rate_hz, 64).shape == (2, samples)


def test_what_is_taken_from_the_highest_bands_is_taken_from_above(wide_band_speech):
    signal = wide_band_speech(48_000).T
    returned = cross(signal, 48_000, 10_000, gain=0.1)

    def energy_above_8_khz(samples):
        return np.sum(
            np.abs(np.fft.rfft(samples[0]))[int(8_200 * samples.shape[1] / 48_000) :] ** 2
        )

    ratio = energy_above_8_khz(returned) / energy_above_8_khz(signal)
    assert ratio == pytest.approx(0.01, rel=0.05)


def test_gain_follows_the_signal_in_time():
    noise = np.random.default_rng(0).standard_normal((1, 16_000)).astype(np.float32)
    enhanced = noise.copy()
    enhanced[:, 8_000:] *= 0.01
    gain = HighBandGain(1)
    gain.feed(noise, enhanced, last=True)
    followed = gain.at(0, 16_000, 16_000)[0]
    assert followed[:7_000].min() > 0.99
    assert followed[9_000:].max() < 0.02


def test_gain_never_exceeds_one_and_silence_gives_one():
    noise = np.random.default_rng(0).standard_normal((1, 4_000)).astype(np.float32)
    louder = HighBandGain(1)
    louder.feed(noise, 3 * noise, last=True)
    assert louder.at(0, 4_000, 16_000).max() == 1.0
    silent = HighBandGain(1)
    silent.feed(0 * noise, 0 * noise, last=True)
    assert np.array_equal(silent.at(0, 4_000, 16_000), np.ones((1, 4_000), dtype=np.float32))
