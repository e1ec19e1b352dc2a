"""The tags of an MP3: every letter of every one, and not a sample more or less."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import mbs_cli
from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.id3 import id3_tag, prepend
from mbs_cli.audio.writer import AudioWriter

TAGS = {
    "title": "Caf\u00e9 M\u00fcller \u6c34",
    "artist": "\u00c4",
    "album": "\u0416" * 200,  # its size takes more than seven bits
    "date": "2020-03-04",
    "genre": "Blues und \u00c4hnliches",
    "tracknumber": "3/12",
    "comment": "Gr\u00fc\u00dfe\nzwei",
    "copyright": "\u00a9 A",
    "software": "s\u00f6ft",
    "license": "f\u00fcr alle",
}
FFMPEG_NAMES = {"software": "encoder", "tracknumber": "track"}
HAS_NO_FRAME = {"license"}  # that libsndfile would look for


@pytest.fixture
def tagged(tmp_path, noisy_file):
    path = tmp_path / "tagged.mp3"
    with AudioWriter(path, replace(mp3_info(tmp_path, noisy_file), tags=TAGS)) as writer:
        writer.write(soundfile.read(noisy_file, dtype="float32")[0][None])
    return path


def mp3_info(tmp_path, noisy_file):
    samples, rate_hz = soundfile.read(noisy_file)
    soundfile.write(tmp_path / "plain.mp3", samples, rate_hz)
    return read_info(tmp_path / "plain.mp3")


def test_libsndfile_reads_the_tags_back_and_the_same_samples(tagged):
    kept = read_info(tagged).tags
    assert {name: value for name, value in TAGS.items() if name not in HAS_NO_FRAME} == kept
    plain = tagged.with_name("plain.mp3")
    assert np.array_equal(soundfile.read(tagged)[0], soundfile.read(plain)[0])


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffmpeg is not installed")
def test_ffprobe_reads_the_tags_back(tagged):
    command = ["ffprobe", "-v", "error", "-show_entries", "format_tags", "-of", "default=nw=1"]
    told = subprocess.run([*command, tagged], check=True, capture_output=True).stdout.decode()
    for name, value in TAGS.items():
        assert f"TAG:{FFMPEG_NAMES.get(name, name)}={value}\n" in told


def test_an_enhanced_mp3_has_the_tags_and_length_of_its_input(tagged, tmp_path, passthrough):
    mbs_cli.enhance_file(tagged, tmp_path / "out.mp3", model=passthrough)
    before, after = read_info(tagged), read_info(tmp_path / "out.mp3")
    assert after.tags == before.tags
    assert after.frames == before.frames
    assert soundfile.info(tmp_path / "out.mp3").frames == before.frames


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**21 + 3])
def test_what_goes_before_a_file_leaves_the_rest(size, tmp_path):
    path = tmp_path / "file"
    content = np.random.default_rng(0).bytes(size)
    path.write_bytes(content)
    prepend(path, b"head")
    assert path.read_bytes() == b"head" + content


def test_without_tags_there_is_none():
    assert id3_tag({}) == id3_tag({"title": ""}) == b""
