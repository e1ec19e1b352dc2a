"""Blocks of any size give the whole-signal result, for causal models exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mbs_cli.audio.stft import istft, stft
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.causal import CausalEnhancer
from mbs_cli.enhancement.enhancer import enhance_together
from mbs_cli.enhancement.treatment import ChannelMode


@torch.inference_mode()
def enhance_whole(model, signal):
    return istft(
        model(stft(torch.from_numpy(signal), model.framing)), signal.shape[1], model.framing
    ).numpy()


def enhance_in_pieces(enhancer, signal, piece_samples):
    pieces = [
        enhancer.feed(signal[:, start : start + piece_samples])
        for start in range(0, signal.shape[1], piece_samples)
    ]
    return np.concatenate([*pieces, enhancer.flush()], axis=1)


@pytest.mark.parametrize("piece_samples", [37, 128, 1_000, 5_000])
def test_pieces_equal_whole(piece_samples, small_model, noisy_speech):
    signal = noisy_speech[None, 16_000:20_001]
    whole = enhance_whole(small_model, signal)
    pieces = enhance_in_pieces(CausalEnhancer(small_model), signal, piece_samples)
    assert np.abs(pieces - whole).max() < 1e-5


@pytest.mark.parametrize("samples", [1, 2, 127, 128, 129, 255, 256, 257, 511, 512, 513, 3_001])
def test_every_length_is_kept_and_equals_whole(samples, small_model, noisy_speech):
    signal = noisy_speech[None, 20_000 : 20_000 + samples]
    pieces = enhance_in_pieces(CausalEnhancer(small_model), signal, 100)
    assert pieces.shape == signal.shape
    assert np.abs(pieces - enhance_whole(small_model, signal)).max() < 1e-5


def test_nothing_in_gives_nothing_out(small_model):
    assert CausalEnhancer(small_model, channels=2).flush().shape == (2, 0)


def test_channels_do_not_touch_each_other(small_model, noisy_speech):
    signal = np.stack([noisy_speech[:8_000], noisy_speech[8_000:16_000]])
    both = enhance_in_pieces(CausalEnhancer(small_model, channels=2), signal, 3_000)
    second = enhance_in_pieces(CausalEnhancer(small_model), signal[1:], 3_000)
    assert np.abs(both[1:] - second).max() < 1e-5


def test_no_sample_waits_longer_than_one_window(small_model, noisy_speech):
    enhancer = CausalEnhancer(small_model)
    given = 0
    for start in range(0, 4_000, 40):
        given += enhancer.feed(noisy_speech[None, start : start + 40]).shape[1]
        assert given >= start + 40 - 512


def test_unchanged_spectrum_gives_back_the_samples(passthrough, noisy_speech):
    signal = noisy_speech[None, :10_001]
    returned = enhance_in_pieces(CausalEnhancer(passthrough), signal, 777)
    assert np.abs(returned - signal).max() < 1e-6


def test_signals_of_several_lengths_together_equal_each_alone(small_model, noisy_speech):
    signals = [noisy_speech[None, :samples] for samples in (9_001, 1, 4_000, 300)]
    signals.append(np.stack([noisy_speech[:5_000], noisy_speech[5_000:10_000]]))
    enhanced = enhance_together(BoundedModel(small_model), signals, ChannelMode.INDEPENDENT)
    for together, signal in zip(enhanced, signals, strict=True):
        assert together.shape == signal.shape
        assert np.abs(together - enhance_whole(small_model, signal)).max() < 1e-5
