"""What a page carries of a sound file, and what it looks like."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from mbs_cli.errors import AudioError
from mbs_cli.scoring.report.clip import LONGEST_SECONDS, read_clip
from mbs_cli.scoring.report.spectrogram import RANGE_DB, ROWS, levels_db, to_image


def test_the_sound_is_the_file_to_one_step_of_16_bits(noisy_file):
    samples, rate_hz = soundfile.read(noisy_file, dtype="float32")
    clip = read_clip(noisy_file)
    heard, heard_rate_hz = soundfile.read(io.BytesIO(clip.to_flac()), dtype="float32")
    assert heard_rate_hz == rate_hz
    assert np.abs(heard - samples).max() <= 1 / 32_768


def test_of_a_long_file_with_many_channels_the_beginning_of_two_is_kept(tmp_path, noisy_speech):
    path = tmp_path / "long.wav"
    long = np.tile(noisy_speech, 6)
    soundfile.write(path, np.stack([long, long / 2, long / 4], axis=1), 16_000)
    clip = read_clip(path)
    assert clip.samples.shape == (2, LONGEST_SECONDS * 16_000)
    assert clip.file_seconds == pytest.approx(len(long) / 16_000)


def test_samples_that_are_no_numbers_are_silent_and_loud_ones_clipped(tmp_path):
    path = tmp_path / "odd.wav"
    odd = np.array([0.5, np.nan, np.inf, 1e30, -3.0, 0.25], dtype=np.float32)
    soundfile.write(path, odd, 16_000, subtype="FLOAT")
    clip = read_clip(path)
    heard, _ = soundfile.read(io.BytesIO(clip.to_flac()))
    assert heard == pytest.approx([0.5, 0, 0, 1, -1, 0.25], abs=1e-4)
    levels = levels_db(clip.mono, 16_000)
    assert np.isfinite(levels).all()
    assert to_image(levels, float(levels.max()))


@pytest.mark.parametrize("content", [None, b"", b"no sound at all"])
def test_a_file_without_sound_says_so(tmp_path, content):
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=r"x\.wav"):
        read_clip(path)


def test_a_file_without_samples_says_so(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    with pytest.raises(AudioError, match="no samples"):
        read_clip(tmp_path / "none.wav")


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_a_tone_is_brightest_at_its_height(rate_hz):
    frequency_hz = 0.3 * rate_hz / 2
    tone = np.sin(2 * np.pi * frequency_hz * np.arange(rate_hz) / rate_hz).astype(np.float32)
    levels = levels_db(tone, rate_hz)
    assert levels.shape[0] == ROWS
    middle = levels[:, levels.shape[1] // 2]
    assert middle.argmax() / ROWS == pytest.approx(0.3, abs=0.015)
    assert -8 < middle.max() < 1  # dB below full scale


@pytest.mark.parametrize("samples", [1, 100, 511])
def test_the_shortest_files_have_an_image(samples):
    assert levels_db(np.ones(samples, dtype=np.float32), 16_000).shape[1] >= 1


def test_the_image_has_low_frequencies_at_the_bottom_and_is_small(noisy_speech):
    levels = np.full((ROWS, 50), -RANGE_DB, dtype=np.float32)
    levels[:16] = 0.0
    picture = imread(io.BytesIO(to_image(levels, 0.0)), format="webp")
    assert picture.shape[:2] == levels.shape
    assert picture[-1, 0, :3].mean() > picture[0, 0, :3].mean() + 100
    speech = to_image(levels_db(noisy_speech, 16_000), 0.0)
    assert len(speech) < 60_000
