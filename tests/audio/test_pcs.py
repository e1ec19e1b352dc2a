"""Perceptual contrast stretching: the published formula, whatever the level."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from mbs_cli.audio.parameters import FRAMES_8_MS
from mbs_cli.audio.pcs import REFERENCE_RMS, band_weights, stretch_spectrum, stretch_waveform
from mbs_cli.audio.stft import stft


@pytest.fixture
def speech(noisy_file) -> Tensor:
    samples, _ = soundfile.read(noisy_file, dtype="float32")
    return torch.from_numpy(samples)[None]


def test_magnitudes_follow_the_formula_and_phases_stay(speech: Tensor) -> None:
    at_reference = speech * REFERENCE_RMS / speech.square().mean().sqrt()
    spectrum = stft(at_reference, FRAMES_8_MS)
    stretched = stretch_spectrum(spectrum, torch.tensor([REFERENCE_RMS]))
    before = torch.view_as_complex(spectrum).numpy().astype(np.complex128)
    after = torch.view_as_complex(stretched).numpy()
    weights = band_weights().numpy()[:, None]
    expected = np.expm1(weights * np.log1p(np.abs(before))) * np.exp(1j * np.angle(before))
    np.testing.assert_allclose(after[0], expected[0], rtol=1e-3, atol=1e-5)


def test_weights_change_at_the_published_bins() -> None:
    weights = band_weights()
    changes = (weights.diff() != 0).nonzero()[:, 0] + 1
    assert changes.tolist() == [3, 6, 9, 12, 138, 166, 200, 241, 256]
    assert weights[12] == weights.max() == pytest.approx(1.4)


def test_the_level_is_kept_and_scaling_commutes(speech: Tensor) -> None:
    stretched = stretch_waveform(speech)
    assert stretched.shape == speech.shape
    assert stretched.square().mean().sqrt() == pytest.approx(speech.square().mean().sqrt().item())
    torch.testing.assert_close(stretch_waveform(speech * 0.01), stretched * 0.01)


def test_silence_is_left_alone_also_beside_speech(speech: Tensor) -> None:
    both = torch.cat([torch.zeros_like(speech), speech])
    stretched = stretch_waveform(both)
    assert not stretched[0].any()
    torch.testing.assert_close(stretched[1:], stretch_waveform(speech))
