"""Samples past full scale: named policies, each doing what it says and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.limiter import Limiter
from mbs_cli.audio.output_format import ClipPolicy
from mbs_cli.audio.writer import AudioWriter


@pytest.fixture
def loud(noisy_speech):
    """Two channels of speech, the first of them past full scale."""
    speech = noisy_speech[:40_000] / np.abs(noisy_speech[:40_000]).max()
    return np.stack([1.7 * speech, 0.4 * speech]).astype(np.float32)


def write(tmp_path, signal, policy, subtype="PCM_24", block_samples=7_001):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, signal.T * 0, 16_000, subtype=subtype)
    with AudioWriter(target, read_info(source), policy) as writer:
        for start in range(0, signal.shape[1], block_samples):
            writer.write(signal[:, start : start + block_samples])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out.wav"]
    return soundfile.read(target, dtype="float32")[0].T, writer


def test_rescale_is_one_gain_that_puts_the_peak_at_full_scale(tmp_path, loud):
    written, writer = write(tmp_path, loud, ClipPolicy.RESCALE)
    assert np.abs(written - loud / 1.7).max() < 2e-7
    assert writer.gain_db == pytest.approx(-20 * np.log10(1.7))
    assert "4.61 dB quieter" in writer.note


def test_warn_clips_and_counts(tmp_path, loud):
    written, writer = write(tmp_path, loud, ClipPolicy.WARN)
    assert np.abs(written - np.clip(loud, -1, 1)).max() < 2e-7
    assert writer.clipped_samples == np.count_nonzero(np.abs(loud) > 1)
    assert f"{writer.clipped_samples} samples" in writer.note


@pytest.mark.parametrize("policy", list(ClipPolicy))
def test_what_fits_is_not_touched_and_nothing_is_said(policy, tmp_path, loud):
    written, writer = write(tmp_path, loud / 2, policy)
    assert np.abs(written - loud / 2).max() < 2e-7
    assert (writer.note, writer.clipped_samples, writer.gain_db) == ("", 0, 0.0)


@pytest.mark.parametrize("policy", list(ClipPolicy))
def test_float_files_are_never_touched(policy, tmp_path, loud):
    written, writer = write(tmp_path, loud, policy, subtype="FLOAT")
    assert np.array_equal(written, loud)
    assert writer.note == ""


def limited(signal, block_samples):
    limiter = Limiter(16_000)
    blocks = range(0, signal.shape[1], block_samples)
    return np.concatenate([limiter.feed(signal[:, i : i + block_samples]) for i in blocks], axis=1)


def test_the_limiter_keeps_within_full_scale_and_the_channels_together(loud):
    result = limited(loud, 40_000)
    assert np.abs(result).max() <= 1.0
    audible = np.abs(loud[1]) > 0.01
    ratio = result[:, audible] / loud[:, audible]
    assert np.abs(ratio[0] - ratio[1]).max() < 1e-5
    assert ratio.min() < 0.7
    assert ratio.max() == 1.0


def test_the_limiter_does_not_depend_on_blocks(loud):
    assert np.abs(limited(loud, 40_000) - limited(loud, 13)).max() < 1e-6


def test_the_limiter_lets_the_gain_come_back_softly():
    signal = np.full((1, 32_000), 0.5, dtype=np.float32)
    signal[0, 1_000] = 4.0
    gain = limited(signal, 500)[0] / signal[0]
    assert gain[999] == 1.0
    assert gain[1_000] == pytest.approx(0.25, abs=1e-3)
    assert (np.diff(gain[1_000:]) >= -1e-6).all()
    assert np.diff(gain[1_000:]).max() < 1e-3
    assert gain[-1] == 1.0
