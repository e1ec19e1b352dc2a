"""Strength: exactly the mix that is promised, at any rate, in any blocks."""

from __future__ import annotations

import numpy as np
import pytest

import mbs_cli
from mbs_cli.enhancement.blocks import enhance_blocks
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.contrast import ContrastStretcher
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import UsageError

RATES_HZ = [8_000, 16_000, 44_100]


def enhance(model, signal, rate_hz, **treatment):
    return mbs_cli.enhance_array(signal, rate_hz, model=model, treatment=Treatment(**treatment))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(
    ("treatment", "share"),
    [
        ({"dry": 0.3}, 0.3),
        ({"attenuation_limit_db": 20.0}, 0.1),
        ({"attenuation_limit_db": 0.0}, 1.0),
        ({"dry": 0.5, "attenuation_limit_db": 20.0}, 0.5),
        ({"dry": 0.05, "attenuation_limit_db": 20.0}, 0.1),
    ],
)
def test_the_output_is_the_promised_mix(rate_hz, treatment, share, small_model, wide_band_speech):
    signal = wide_band_speech(rate_hz, channels=2)[: rate_hz // 2]
    enhanced = enhance(small_model, signal, rate_hz)
    mixed = enhance(small_model, signal, rate_hz, **treatment)
    assert np.abs(mixed - ((1 - share) * enhanced + share * signal)).max() < 1e-6


def test_noise_alone_stays_at_the_attenuation_limit(wide_band_speech, passthrough):
    passthrough.gain.data.zero_()  # a model that takes everything for noise
    signal = wide_band_speech(16_000)
    left = enhance(passthrough, signal, 16_000, attenuation_limit_db=12.0)
    assert np.abs(left - 10 ** (-12 / 20) * signal).max() < 1e-6


def test_blocks_of_any_size_give_the_same(small_model, wide_band_speech):
    signal = wide_band_speech(44_100).T[:, :40_000]
    treatment = Treatment(dry=0.2, pcs=True)
    whole, pieces = (
        np.concatenate(
            list(
                enhance_blocks(
                    BoundedModel(small_model),
                    (signal[:, start : start + step] for start in range(0, 40_000, step)),
                    44_100,
                    1,
                    treatment,
                )
            ),
            axis=1,
        )
        for step in (40_000, 3_001)
    )
    assert whole.shape == pieces.shape == signal.shape
    assert np.abs(whole - pieces).max() < 1e-4


@pytest.mark.parametrize(
    "treatment", [{}, {"dry": 0.3}, {"attenuation_limit_db": 12.0}, {"pcs": True}]
)
@pytest.mark.parametrize("gain", [0.01, 3.0])
def test_scaling_the_input_scales_the_output(treatment, gain, small_model, wide_band_speech):
    signal = wide_band_speech(44_100, channels=2)
    reference = enhance(small_model, signal, 44_100, **treatment)
    scaled = enhance(small_model, gain * signal, 44_100, **treatment)
    assert np.abs(scaled / gain - reference).max() < 2e-3 * np.abs(reference).max()


def stretch(signal, block_samples):
    stretcher = ContrastStretcher(len(signal))
    starts = range(0, signal.shape[1], block_samples)
    pieces = [stretcher.feed(signal[:, i : i + block_samples]) for i in starts]
    pieces.append(stretcher.feed(signal[:, :0], last=True))
    return np.concatenate(pieces, axis=1)


def test_contrast_is_stretched_at_the_level_that_was_and_in_place(noisy_speech):
    signal = noisy_speech[None, :60_001]
    stretched = stretch(signal, 60_001)
    assert stretched.shape == signal.shape
    assert np.abs(stretched - signal).max() > 0.05
    assert np.std(stretched) == pytest.approx(np.std(signal), rel=0.15)
    assert np.abs(stretched - stretch(signal, 501)).max() < 1e-4
    correlation = np.correlate(stretched[0, 20_000:30_000], signal[0, 20_000:30_000], "same")
    assert abs(int(correlation.argmax()) - 5_000) <= 1


@pytest.mark.parametrize("samples", [0, 1, 600])
def test_contrast_of_little_and_of_silence(samples):
    silence = np.zeros((2, samples), dtype=np.float32)
    assert np.array_equal(stretch(silence, 128), silence)


def test_speech_is_never_gated_to_digital_zero(noisy_speech):
    signal = noisy_speech[:32_000]
    enhanced = mbs_cli.enhance_array(signal, 16_000, device="cpu")
    assert np.count_nonzero(enhanced[np.abs(signal) > 1e-4]) == np.count_nonzero(
        np.abs(signal) > 1e-4
    )


@pytest.mark.parametrize(
    ("treatment", "option"),
    [
        ({"dry": 1.1}, "--dry 1.1"),
        ({"dry": float("nan")}, "--dry nan"),
        ({"attenuation_limit_db": -1.0}, "--attenuation-limit -1"),
        ({"attenuation_limit_db": float("nan")}, "--attenuation-limit nan"),
    ],
)
def test_what_cannot_be_is_refused(treatment, option):
    with pytest.raises(UsageError, match=option):
        Treatment(**treatment)
