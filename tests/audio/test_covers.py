"""The pictures of an audio file stay, bit for bit, in every container that holds them."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

import mbs_cli
from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.reader import read_blocks

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def ffmpeg(*arguments):
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


@pytest.fixture
def pictures(tmp_path):
    """A PNG and a JPEG."""
    made = []
    for suffix, kind in (("png", "image/png"), ("jpg", "image/jpeg")):
        path = tmp_path / f"my {suffix}.{suffix}"
        ffmpeg("-f", "lavfi", "-i", "testsrc=s=32x32", "-frames:v", 1, path)
        made.append((path, kind))
    return made


@pytest.fixture
def covered(tmp_path, noisy_file, pictures):
    def make(name, codec):
        options = []
        for number, (path, kind) in enumerate(pictures):
            options += ["-attach", path, f"-metadata:s:t:{number}", f"mimetype={kind}"]
        path = tmp_path / name
        ffmpeg("-i", noisy_file, "-t", 1, "-ar", 48_000, "-c:a", codec, *options, path)
        return path

    return make


def enhance(source, target, model, **wanted):
    mbs_cli.enhance_file(source, target, model=model, output_format=OutputFormat(**wanted))
    return read_info(target)


def contents(info):
    return [
        ffmpeg("-i", info.path, "-map", f"0:{cover.stream}", "-c", "copy", "-f", "image2pipe", "-")
        for cover in info.media.covers
    ]


@pytest.mark.parametrize("codec", ["flac", "libopus"])
def test_the_pictures_of_an_mka_stay(codec, tmp_path, covered, pictures, passthrough):
    source = covered("in.mka", codec)
    info = enhance(source, tmp_path / "out.mka", passthrough)
    assert contents(info) == [path.read_bytes() for path, _ in pictures]
    assert [cover.name for cover in info.media.covers] == ["my png.png", "my jpg.jpg"]
    assert not info.media.has_video
    if codec == "flac":
        before, after = (
            np.concatenate(list(read_blocks(read_info(path), 9_000)), axis=1)
            for path in (source, info.path)
        )
        assert np.abs(after - before).max() < 2 / 2**15


def test_they_go_from_matroska_to_m4a_and_back(tmp_path, covered, pictures, passthrough):
    source = covered("in.mka", "flac")
    expected = [path.read_bytes() for path, _ in pictures]
    there = enhance(source, tmp_path / "out.m4a", passthrough, container="m4a", subtype="alac")
    assert contents(there) == expected
    back = enhance(there.path, tmp_path / "back.mka", passthrough, container="mka")
    assert contents(back) == expected
    assert [cover.name for cover in back.media.covers] == ["cover.png", "cover.jpg"]


def test_they_stay_beside_a_film_and_other_attachments(tmp_path, noisy_file, pictures, passthrough):
    source = tmp_path / "in.mkv"
    picture, kind = pictures[0]
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x48", "-i", noisy_file, "-t", 1, "-c:v", "mpeg4",
           "-c:a", "flac", "-attach", picture, "-metadata:s:t", f"mimetype={kind}",
           "-attach", noisy_file, "-metadata:s:t:1", "mimetype=font/ttf", source)  # fmt: skip
    info = enhance(source, tmp_path / "out.mkv", passthrough, video=True)
    assert contents(info) == [picture.read_bytes()]
    assert info.media.has_video
    assert len(info.media.streams) == len(read_info(source).media.streams) == 4


def test_a_container_without_pictures_is_written_without(tmp_path, covered, passthrough):
    info = enhance(covered("in.mka", "libopus"), tmp_path / "o.webm", passthrough, container="webm")
    assert info.media.covers == ()
