"""One mask for all channels: the stereo image stays, and no channel is lost to another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mbs_cli
from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.audio.stft import istft, stft
from mbs_cli.enhancement.linked import LinkedChannels, reference
from mbs_cli.enhancement.treatment import ChannelMode, Treatment

LINKED = Treatment()
INDEPENDENT = Treatment(channels=ChannelMode.INDEPENDENT)
MONO = Treatment(channels=ChannelMode.MONO)


@pytest.fixture
def speech(noisy_speech):
    return noisy_speech[16_000:32_000]


def enhance(model, signal, treatment, rate_hz=16_000):
    return mbs_cli.enhance_array(signal, rate_hz, model=model, treatment=treatment)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1.0, -1.0), (0.3, 0.9), (1.0, 0.0), (1.0,) * 64])
def test_scaled_copies_of_one_signal_give_scaled_copies_of_its_result(scales, small_model, speech):
    signal = np.outer(scales, speech).astype(np.float32)
    alone = enhance(small_model, speech, LINKED)
    linked = enhance(small_model, signal, LINKED)
    assert np.abs(linked - np.outer(scales, alone)).max() < 2e-3 * np.abs(alone).max()


def test_every_bin_has_one_gain_and_rotation_for_all_channels(small_model, speech, noisy_speech):
    signal = np.stack([speech, 0.5 * noisy_speech[:16_000]])
    spectrum = stft(torch.from_numpy(signal), FRAMES_16_MS)
    with torch.inference_mode():
        enhanced, _ = LinkedChannels(small_model, [2]).stream(spectrum)
    before, after = torch.view_as_complex(spectrum), torch.view_as_complex(enhanced)
    gains = (after / before)[:, before.abs().amin(0) > 1e-3]
    assert (gains[0] - gains[1]).abs().max() < 1e-3 * gains.abs().max()
    assert gains.abs().std() > 0.01


def test_the_reference_has_the_mean_power_and_is_silent_only_where_all_are(speech):
    signal = torch.from_numpy(np.stack([speech, -speech, 0 * speech]))
    spectrum = stft(signal, FRAMES_16_MS)
    power = reference(spectrum).square().sum(-1)
    torch.testing.assert_close(power, spectrum.square().sum(-1).mean(0))
    assert not reference(torch.zeros_like(spectrum)).any()


def test_the_mask_is_not_what_each_channel_would_have_by_itself(small_model, noisy_speech):
    signal = np.stack([noisy_speech[:16_000], noisy_speech[20_000:36_000]])
    linked = enhance(small_model, signal, LINKED)
    independent = enhance(small_model, signal, INDEPENDENT)
    second = enhance(small_model, signal[1], INDEPENDENT)
    assert np.abs(independent[1] - second).max() < 1e-5
    assert np.abs(linked - independent).max() > 1e-3


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_mono_is_the_mean_of_the_channels_enhanced(rate_hz, small_model, noisy_speech):
    signal = np.stack([noisy_speech[:16_000], noisy_speech[20_000:36_000]])
    mixed = enhance(small_model, signal, MONO, rate_hz)
    assert mixed.shape == (1, 16_000)
    expected = enhance(small_model, signal.mean(axis=0), LINKED, rate_hz)
    assert np.abs(mixed[0] - expected).max() < 1e-6
    assert enhance(small_model, signal.T, MONO, rate_hz).shape == (16_000, 1)


def test_a_silent_channel_and_a_silent_signal_stay_silent(passthrough, speech):
    signal = np.stack([speech, 0 * speech])
    assert np.abs(enhance(passthrough, signal, LINKED) - signal).max() < 1e-5
    assert not enhance(passthrough, 0 * signal, LINKED).any()


def test_signals_with_several_channels_in_one_batch_do_not_mix(small_model, noisy_speech):
    signals = [noisy_speech[None, :9_000], np.stack([noisy_speech[9_000:18_000]] * 3)]
    batch = torch.from_numpy(np.concatenate(signals))
    with torch.inference_mode():
        together, _ = LinkedChannels(small_model, [1, 3]).stream(stft(batch, FRAMES_16_MS))
        together = istft(together, 9_000, FRAMES_16_MS)
        alone = istft(small_model(stft(batch[:1], FRAMES_16_MS)), 9_000, FRAMES_16_MS)
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=0)
    assert (together[1] - together[3]).abs().max() < 1e-5
