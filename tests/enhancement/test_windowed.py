"""Models that look both ways: windows with an exact past come close to the whole signal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mbs_cli.audio.stft import istft, stft
from mbs_cli.enhancement.windowed import WindowedEnhancer


class Forgetful(nn.Module):
    """A model whose every window starts anew."""

    def __init__(self, model):
        super().__init__()
        self.model, self.framing = model, model.framing

    def look_ahead(self, spectrum, _state, kept, shown):
        return self.model.look_ahead(spectrum, None, kept, shown)


def enhance_in_windows(model, signal, piece_samples, **options):
    enhancer = WindowedEnhancer(model, len(signal), **options)
    pieces = [
        enhancer.feed(signal[:, start : start + piece_samples])
        for start in range(0, signal.shape[1], piece_samples)
    ]
    return np.concatenate([*pieces, enhancer.flush()], axis=1)


@torch.inference_mode()
def enhance_whole(model, signal):
    return istft(
        model(stft(torch.from_numpy(signal), model.framing)), signal.shape[1], model.framing
    ).numpy()


@pytest.fixture
def long_speech(noisy_speech):
    return np.resize(noisy_speech, (1, 112_000))


@pytest.fixture
def difference_db(long_memory, long_speech):
    whole = enhance_whole(long_memory, long_speech)

    def difference(model, **options):
        windows = enhance_in_windows(model, long_speech, 10_000, **options)
        return 20 * np.log10(np.std(windows - whole) / np.std(whole))

    return difference


@pytest.mark.parametrize("samples", [1, 300, 7_999, 16_000, 16_001, 24_000, 80_001])
def test_every_length_is_kept(samples, passthrough, noisy_speech):
    signal = noisy_speech[None, :samples]
    signal = np.pad(signal, ((0, 0), (0, samples - signal.shape[1])))
    returned = enhance_in_windows(passthrough, signal, 5_000, kept_seconds=0.5, ahead_seconds=0.25)
    assert returned.shape == signal.shape
    assert np.abs(returned - signal).max() < 1e-5


def test_nothing_in_gives_nothing_out(both_ways):
    assert WindowedEnhancer(both_ways, channels=2).flush().shape == (2, 0)


def test_one_window_is_the_whole_signal(both_ways, noisy_speech):
    signal = noisy_speech[None, :30_000]
    windows = enhance_in_windows(both_ways, signal, 7_000)
    assert np.abs(windows - enhance_whole(both_ways, signal)).max() < 1e-5


@pytest.mark.parametrize("kept_seconds", [0.1, 0.73, 2.0])
def test_windows_are_the_whole_signal_to_60_db(kept_seconds, long_memory, difference_db):
    assert difference_db(long_memory, kept_seconds=kept_seconds, ahead_seconds=0.75) < -60


def test_both_the_state_and_the_look_ahead_are_needed(long_memory, difference_db):
    needed = {"kept_seconds": 2.0, "ahead_seconds": 0.75}
    assert difference_db(Forgetful(long_memory), **needed) > -50
    assert difference_db(long_memory, kept_seconds=2.0, ahead_seconds=0.0) > -58


def test_whatever_precedes_the_past_is_exact(long_memory, long_speech):
    """With all of the future in its window, what follows a border is that of the whole signal."""
    ahead_seconds = 6.0  # the last window begins 1 s after the start
    windows = enhance_in_windows(
        long_memory, long_speech, 10_000, kept_seconds=0.9, ahead_seconds=ahead_seconds
    )
    whole = enhance_whole(long_memory, long_speech)
    assert np.abs(windows - whole).max() < 1e-5


def test_block_size_does_not_matter(both_ways, noisy_speech):
    signal = noisy_speech[None, :50_000]
    options = {"kept_seconds": 0.5, "ahead_seconds": 0.25}
    once = enhance_in_windows(both_ways, signal, 50_000, **options)
    often = enhance_in_windows(both_ways, signal, 999, **options)
    assert np.abs(once - often).max() < 1e-5


def test_channels_do_not_touch_each_other(both_ways, noisy_speech):
    signal = np.stack([noisy_speech[:20_000], noisy_speech[20_000:40_000]])
    options = {"kept_seconds": 0.5, "ahead_seconds": 0.25}
    both = enhance_in_windows(both_ways, signal, 3_000, **options)
    second = enhance_in_windows(both_ways, signal[1:], 3_000, **options)
    assert np.abs(both[1:] - second).max() < 1e-5


class Disagreeing(nn.Module):
    """A model that doubles every other window."""

    def __init__(self, model):
        super().__init__()
        self.model, self.framing, self.gain = model, model.framing, 1.0

    def look_ahead(self, spectrum, state, kept, shown):
        self.gain = 3.0 - self.gain
        estimate, state = self.model.look_ahead(spectrum, state, kept, shown)
        return estimate * self.gain, state


def test_windows_that_disagree_meet_in_a_fade_and_not_in_a_step(passthrough):
    options = {"kept_seconds": 0.5, "ahead_seconds": 0.25}
    signal = np.ones((1, 24_000), np.float32)
    inside = enhance_in_windows(Disagreeing(passthrough), signal, 5_000, **options)[0, 500:-500]
    assert {1.0, 2.0} <= set(np.round(inside, 4).tolist())
    assert np.abs(np.diff(inside)).max() < 2 / 256
