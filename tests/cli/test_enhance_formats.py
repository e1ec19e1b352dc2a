"""`mbs enhance` on every kind of file: what is asked for comes out, a bad one fails alone."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


@pytest.fixture
def enhance(run_mbs, small_checkpoint):
    def run(*arguments, **options):
        return run_mbs("enhance", *arguments, "--model", small_checkpoint, "--json", **options)

    return run


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def outcomes(result):
    """Status and error or note by file name."""
    return {
        file["path"].rsplit("/", 1)[-1]: (file["status"], file["error"] or file["note"] or "")
        for file in json.loads(result.stdout)["files"]
    }


def wav(path, samples, rate_hz=16_000, **changes):
    """A 16-bit WAV whose header fields are then overwritten with what they should not be."""
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    places = {"channels": (22, "<H"), "rate": (24, "<I"), "bits": (34, "<H"), "data": (40, "<I")}
    for name, value in changes.items():
        offset, form = places[name]
        struct.pack_into(form, content, offset, value)
    path.write_bytes(content)


def test_headers_that_lie_are_named_and_the_others_go_on(enhance, folder, noisy_speech):
    speech = noisy_speech[:16_000]
    wav(folder / "good.wav", speech)
    wav(folder / "no length.wav", speech, data=0)
    wav(folder / "too little.wav", speech, data=1_000)
    wav(folder / "too much.wav", speech, data=1_000_000)
    wav(folder / "no rate.wav", speech, rate=0)
    wav(folder / "high rate.wav", speech, rate=2**31 - 1)
    wav(folder / "many channels.wav", speech, channels=65_535)
    soundfile.write(folder / "endless.flac", speech, 16_000)
    content = bytearray((folder / "endless.flac").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)  # STREAMINFO's number of samples: unknown
    (folder / "endless.flac").write_bytes(content)
    result = enhance(folder, "-o", "out")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    found = outcomes(result)
    assert found.pop("good.wav") == ("done", "")
    assert {status for status, _ in found.values()} == {"failed"}
    assert "header is wrong" in found["no length.wav"][1]
    assert "header is wrong" in found["too little.wav"][1]
    assert "cut short" in found["too much.wav"][1]
    assert "expected 1 to 768000" in found["high rate.wav"][1]
    assert "does not say how long" in found["endless.flac"][1]
    assert sorted(path.name for path in (folder.parent / "out").iterdir()) == ["good.wav"]


@needs_ffmpeg
def test_ffmpeg_formats_and_videos_in_a_folder(enhance, folder, tmp_path, noisy_file):
    def ffmpeg(*arguments):
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *map(str, arguments)], check=True)

    ffmpeg("-i", noisy_file, "-t", "1", "-c:a", "aac", folder / "a b.m4a")
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x48", "-i", noisy_file, "-t", "1",
           "-c:v", "mpeg4", "-c:a", "aac", folder / "film.mp4")  # fmt: skip
    (folder / "broken.m4a").write_bytes((folder / "a b.m4a").read_bytes()[:3_000])
    result = enhance(folder, "-o", "out", "--video")
    found = outcomes(result)
    assert result.returncode == 1
    assert found["broken.m4a"][0] == "failed"
    assert found["a b.m4a"] == found["film.mp4"] == ("done", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a b.m4a", "film.mp4"]


def test_the_options_of_sound_and_format_reach_the_file(enhance, folder, tmp_path, noisy_speech):
    stereo = 3 * np.stack([noisy_speech[:16_000], noisy_speech[16_000:32_000]], axis=1)
    soundfile.write(folder / "a.wav", stereo, 16_000, subtype="FLOAT")
    options = ["--channels", "mono", "--dry", "1", "--pcs", "--clip", "rescale"]
    options += ["--format", "flac", "--subtype", "pcm_24", "--sample-rate", "16000"]
    result = enhance(folder, "-o", "out", *options)
    assert result.returncode == 0, result.stderr
    mono = stereo.mean(axis=1)
    peak = np.abs(mono).max()
    assert peak > 1
    written, _ = soundfile.read(tmp_path / "out" / "a.flac", dtype="float32", always_2d=True)
    assert np.abs(written[:, 0] - mono / peak).max() < 1e-6
    assert soundfile.info(tmp_path / "out" / "a.flac").subtype == "PCM_24"
    assert "quieter" in outcomes(result)["a.wav"][1]
    assert json.loads(result.stdout)["files"][0]["gain_db"] == pytest.approx(
        -20 * np.log10(peak), abs=1e-3
    )


def test_one_file_gets_the_format_that_its_output_is_named_for(
    enhance, folder, tmp_path, noisy_speech
):
    soundfile.write(folder / "a.wav", noisy_speech[:8_000], 16_000)
    (tmp_path / "b.flac").mkdir()
    for output, written in (("c.flac", "c.flac"), ("d.OGG", "d.OGG"), ("b.flac", "b.flac/a.wav")):
        result = enhance(folder / "a.wav", "-o", output)
        assert result.returncode == 0, result.stderr
        found = soundfile.info(tmp_path / written)
        assert found.format == Path(written).suffix[1:].upper()
        assert found.frames == 8_000


def test_names_that_are_too_long_are_told(enhance, folder, noisy_speech):
    soundfile.write(folder / "a.wav", noisy_speech[:100], 16_000)
    long = 300 * "a"
    for source, output in ((folder / "a.wav", f"{long}.flac"), (f"{long}.wav", "b.flac")):
        result = enhance(source, "-o", output)
        assert result.returncode in (1, 2)
        assert "Traceback" not in result.stderr
        assert "File name too long" in result.stdout + result.stderr


@pytest.mark.parametrize(
    "options",
    [("--dry", "2"), ("--format", "docx"), ("--attenuation-limit", "-3"), ("-o", "b.wma")],
)
def test_options_that_cannot_be_are_wrong_usage(options, enhance, folder, tmp_path, noisy_speech):
    soundfile.write(folder / "a.wav", noisy_speech[:100], 16_000)
    result = enhance(folder / "a.wav", "-o", "out", *options)
    assert result.returncode == 2
    assert options[0] in result.stderr or options[1] in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_pipe_that_its_reader_closes_ends_quietly(enhance, folder, tmp_path, noisy_speech):
    for name in ("a", "b"):
        soundfile.write(folder / f"{name}.wav", noisy_speech[:4_000], 16_000)
    read, write = os.pipe()
    os.close(read)
    result = enhance(
        folder, "-o", "out", capture_output=False, stdout=write, stderr=subprocess.PIPE
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert len(list((tmp_path / "out").iterdir())) == 2
