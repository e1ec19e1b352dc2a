"""Models that look both ways: windows with margins come close to the whole signal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mbs_cli.audio.stft import istft, stft
from mbs_cli.enhancement.windowed import WindowedEnhancer


def enhance_in_windows(model, signal, piece_samples, **options):
    enhancer = WindowedEnhancer(model, len(signal), **options)
    pieces = [
        enhancer.feed(signal[:, start : start + piece_samples])
        for start in range(0, signal.shape[1], piece_samples)
    ]
    return np.concatenate([*pieces, enhancer.flush()], axis=1)


@pytest.mark.parametrize("samples", [1, 300, 7_999, 16_000, 16_001, 24_000, 80_001])
def test_every_length_is_kept(samples, passthrough, noisy_speech):
    signal = noisy_speech[None, :samples]
    signal = np.pad(signal, ((0, 0), (0, samples - signal.shape[1])))
    returned = enhance_in_windows(
        passthrough, signal, 5_000, window_seconds=1.0, margin_seconds=0.25
    )
    assert returned.shape == signal.shape
    assert np.abs(returned - signal).max() < 1e-5


def test_one_window_is_the_whole_signal(both_ways, noisy_speech):
    signal = noisy_speech[None, :30_000]
    with torch.inference_mode():
        whole = istft(both_ways(stft(torch.from_numpy(signal))), signal.shape[1]).numpy()
    assert np.abs(enhance_in_windows(both_ways, signal, 7_000) - whole).max() < 1e-5


def test_windows_with_margins_are_the_whole_signal_to_60_db(both_ways, noisy_speech):
    signal = np.resize(noisy_speech, (1, 112_000))
    with torch.inference_mode():
        whole = istft(both_ways(stft(torch.from_numpy(signal))), signal.shape[1]).numpy()

    def difference_db(margin_seconds):
        options = {"window_seconds": 4.0, "margin_seconds": margin_seconds}
        windows = enhance_in_windows(both_ways, signal, 10_000, **options)
        return 20 * np.log10(np.std(windows - whole) / np.std(whole))

    assert difference_db(0.75) < -60
    assert difference_db(0.0) > difference_db(0.75) + 6


def test_block_size_does_not_matter(both_ways, noisy_speech):
    signal = noisy_speech[None, :50_000]
    options = {"window_seconds": 1.0, "margin_seconds": 0.25}
    once = enhance_in_windows(both_ways, signal, 50_000, **options)
    often = enhance_in_windows(both_ways, signal, 999, **options)
    assert np.abs(once - often).max() < 1e-5
