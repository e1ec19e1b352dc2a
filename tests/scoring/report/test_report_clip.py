"""What a page carries of a sound file, and what it looks like."""

from __future__ import annotations

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from mbs_cli.errors import AudioError
from mbs_cli.scoring.report.clip import LONGEST_SECONDS, read_clip
from mbs_cli.scoring.report.spectrogram import RANGE_DB, ROWS, levels_db, to_image
from mbs_cli.scoring.report.versions import Version, media_of


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


@pytest.mark.parametrize("rate_hz", [65_537, 96_000, 700_000])
def test_rates_that_browsers_and_flac_do_not_hold_become_48_khz(tmp_path, rate_hz):
    path = tmp_path / "fast.wav"
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(rate_hz // 2) / rate_hz)
    soundfile.write(path, np.stack([tone, -tone], axis=1), rate_hz)
    clip = read_clip(path)
    heard, heard_rate_hz = soundfile.read(io.BytesIO(clip.to_flac()))
    assert heard_rate_hz == clip.sample_rate_hz == 48_000
    assert heard.shape == (round(len(tone) * 48_000 / rate_hz), 2)
    assert clip.file_seconds == pytest.approx(0.5, abs=1e-4)
    middle = slice(1_000, -1_000)
    expected = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(len(heard)) / 48_000)
    assert heard[middle, 0] == pytest.approx(expected[middle], abs=1e-3)


def test_what_cannot_be_encoded_is_a_failure_of_that_version(tmp_path, monkeypatch):
    monkeypatch.setattr("mbs_cli.scoring.report.clip.MOST_CHANNELS", 9)  # FLAC has 8
    for name, channels in (("many.wav", 9), ("one.wav", 1)):
        soundfile.write(tmp_path / name, np.full((100, channels), 0.1), 16_000)
    versions = [Version(name, str(tmp_path / name), None) for name in ("many.wav", "one.wav")]
    many, one = media_of(versions)["versions"]
    assert "many.wav: cannot be stored as FLAC at 16000 Hz with 9 channels" in many["failure"]
    assert one["audio"].startswith("data:audio/flac")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_what_only_ffmpeg_reads_is_heard_as_far_as_the_page_carries(tmp_path, noisy_file):
    path = tmp_path / "long.m4a"
    command = ["ffmpeg", "-v", "error", "-i", noisy_file, "-c:a", "alac", "-sample_fmt", "s16p"]
    subprocess.run([*command, path], check=True, timeout=60)
    expected, _ = soundfile.read(noisy_file, dtype="float32")
    whole, beginning = read_clip(path), read_clip(path, longest_seconds=1.0)
    assert np.array_equal(whole.mono, expected)
    assert np.array_equal(beginning.mono, expected[:16_000])
    assert beginning.file_seconds == whole.seconds


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
