"""What libsndfile does not read comes and goes through ffmpeg: the same format, nothing shifted."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from mbs_cli.audio.ffmpeg_encoder import FfmpegEncoder
from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.output_info import describe_output
from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.writer import AudioWriter
from mbs_cli.errors import AudioError

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")

LOSSY = [
    *(("m4a", "aac"), ("3gp", "aac"), ("aac", "aac"), ("mka", "ac3"), ("ts", "aac")),
    *(("webm", "libopus"), ("mkv", "libvorbis"), ("mkv", "aac"), ("avi", "libmp3lame")),
]
EXACT_LENGTH = {"m4a", "3gp"}
LONGEST_CODEC_FRAME = 2_048


def ffmpeg(*arguments):
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


@pytest.fixture
def encode(tmp_path, noisy_file):
    def run(name, *options, rate_hz=48_000, seconds=2):
        path = tmp_path / name
        ffmpeg("-i", noisy_file, "-t", seconds, "-ar", rate_hz, *options, f"file:{path}")
        return path

    return run


def samples_of(info):
    return np.concatenate(list(read_blocks(info, 10_000)), axis=1)


def copy(source, target, wanted=OutputFormat()):  # noqa: B008 - frozen
    info = read_info(source)
    with AudioWriter(target, describe_output(info, wanted)) as writer:
        for block in read_blocks(info, 5_000):
            writer.write(block)
    return info, read_info(target)


def lag(late, early):
    from scipy.signal import correlate

    length = min(late.shape[1], early.shape[1])
    correlation = correlate(late[0, :length], early[0, :length], mode="same")
    return int(correlation.argmax()) - length // 2


@pytest.mark.parametrize(("suffix", "codec"), LOSSY)
def test_a_lossy_copy_is_the_same_format_length_and_in_place(suffix, codec, tmp_path, encode):
    source = encode(f"in.{suffix}", "-c:a", codec, "-b:a", "64k")
    before, after = copy(source, tmp_path / f"out.{suffix}")
    assert (after.container, after.subtype) == (before.container, before.subtype)
    assert (after.sample_rate_hz, after.channels) == (48_000, 1)
    assert after.bit_rate == pytest.approx(before.bit_rate, rel=0.3)
    first, second = samples_of(before), samples_of(after)
    assert lag(second, first) == 0
    allowed = 0 if suffix in EXACT_LENGTH else LONGEST_CODEC_FRAME
    assert abs(second.shape[1] - first.shape[1]) <= allowed


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("m4a", ("-c:a", "alac", "-sample_fmt", "s16p", "-ac", 2)),
        ("m4a", ("-c:a", "alac", "-sample_fmt", "s32p")),
        ("mka", ("-c:a", "flac", "-sample_fmt", "s16")),
        ("mka", ("-c:a", "flac", "-sample_fmt", "s32", "-ac", 6)),
    ],
)
def test_a_lossless_copy_has_the_very_samples_and_bits(suffix, options, tmp_path, encode):
    source = encode(f"in.{suffix}", *options)
    before, after = copy(source, tmp_path / f"out.{suffix}")
    assert (after.subtype, after.bits) == (before.subtype, before.bits)
    assert np.array_equal(samples_of(before), samples_of(after))


@pytest.mark.parametrize("codec", ["libvorbis", "libopus"])
@pytest.mark.parametrize(("seconds", "gain"), [(2, 0), (0.05, 1), (0.005, 1)])
@pytest.mark.parametrize("suffix", ["mka", "webm"])
def test_a_sound_of_a_bit_rate_that_its_codec_lacks_is_written(
    suffix, codec, seconds, gain, tmp_path, encode
):
    options = ("-af", f"volume={gain}", "-c:a", codec)
    source = encode(f"in.{suffix}", *options, seconds=seconds)
    before, after = copy(source, tmp_path / f"out.{suffix}")
    assert after.subtype == before.subtype
    first, second = samples_of(before), samples_of(after)
    assert abs(second.shape[1] - first.shape[1]) <= LONGEST_CODEC_FRAME
    assert np.abs(second).max() <= 2 * np.abs(first).max() + 1e-4


def test_a_live_recording_without_a_length_is_read_to_its_end(tmp_path, noisy_file):
    path = tmp_path / "live.webm"
    path.write_bytes(ffmpeg("-i", noisy_file, "-c:a", "libopus", "-f", "webm", "pipe:1"))
    info = read_info(path)
    assert info.seconds == pytest.approx(5.1, abs=0.1)
    assert samples_of(info).shape[1] == pytest.approx(5.1 * 48_000, abs=2_000)


def test_tags_cover_and_chapters_stay(tmp_path, encode):
    plain = encode(
        "plain.m4a", "-c:a", "aac", "-metadata", "title=\u00fcber", "-metadata", "artist=A"
    )
    picture = tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", 1, picture)
    source = tmp_path / "covered.m4a"
    ffmpeg("-i", plain, "-i", picture, "-map", 0, "-map", 1, "-c", "copy",
           "-disposition:v", "attached_pic", source)  # fmt: skip
    target = tmp_path / "out.m4a"
    assert [cover.stream for cover in copy(source, target)[1].media.covers] == [1]
    described = ffprobe(target, "format_tags=title,artist")
    assert "title=\u00fcber" in described
    assert "artist=A" in described


def ffprobe(path, entries):
    command = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "default=nw=1", path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def picture_of(path):
    return ffmpeg("-i", path, "-map", "0:v", "-c", "copy", "-f", "md5", "pipe:1")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_picture_of_a_video_stays_bit_for_bit_and_in_time(suffix, tmp_path, noisy_file):
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=3:s=64x48:r=25", "-itsoffset", "0.4", "-i", noisy_file,
           "-c:v", "mpeg4", "-c:a", "aac", "-metadata:s:a", "language=fra",
           "-metadata:s:v", "language=ita", source)  # fmt: skip
    before, after = copy(source, target, OutputFormat(video=True))
    assert picture_of(source) == picture_of(target)
    assert before.media.has_video
    assert after.media.streams == before.media.streams
    assert after.media.sound == before.media.sound
    assert after.media.offset_seconds == pytest.approx(before.media.offset_seconds, abs=0.03)
    assert before.media.offset_seconds > 0.3
    assert lag(samples_of(after), samples_of(before)) == 0
    assert ffprobe(target, "stream_tags=language").split() == [
        "TAG:language=ita",
        "TAG:language=fra",
    ]
    assert not copy(source, tmp_path / f"sound.{suffix}")[1].media.has_video


def test_a_picture_without_a_container_for_it_is_refused(tmp_path, noisy_file):
    source = tmp_path / "in.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x48", "-i", noisy_file, "-c:v", "mpeg4", source)
    with pytest.raises(AudioError, match="WAV holds no picture"):
        copy(source, tmp_path / "out.wav", OutputFormat(container="wav", video=True))


@pytest.mark.parametrize("name", ["-i two\nlines.m4a", "http:\u97f3 '$(x)`\".m4a"])
def test_any_name_is_a_name(name, tmp_path, encode, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = encode(name, "-c:a", "aac").relative_to(tmp_path)
    (tmp_path / "out").mkdir()
    copy(source, Path("out") / source)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_a_playlist_that_leads_to_other_files_is_refused(tmp_path, encode):
    encode("secret.aac", "-c:a", "aac")
    playlist = tmp_path / "list.m4a"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.aac\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(AudioError, match=r"list\.m4a: not an audio file"):
        read_info(playlist)


@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("webm", "libopus")])
def test_a_file_cut_short_is_refused_and_leaves_nothing(suffix, codec, tmp_path, encode):
    path = encode(f"cut.{suffix}", "-c:a", codec, "-movflags", "faststart", seconds=5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=rf"cut\.{suffix}"):
        copy(path, tmp_path / f"out.{suffix}")
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_is_refused_with_the_words_of_ffmpeg(tmp_path, encode):
    path = encode("bad.m4a", "-c:a", "aac", "-movflags", "faststart", seconds=5)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3_000] = b"\xff" * 3_000
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"bad\.m4a: damaged .* s \(.+\)"):
        copy(path, tmp_path / "out.m4a")


def test_a_silent_video_is_refused(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x48", "-c:v", "mpeg4", tmp_path / "mute.mp4")
    with pytest.raises(AudioError, match="there is no sound"):
        read_info(tmp_path / "mute.mp4")


def test_without_ffmpeg_the_command_to_convert_is_given(tmp_path, encode, monkeypatch):
    source = encode("a b.m4a", "-c:a", "aac")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match="not an audio file that libsndfile reads") as caught:
        read_info(source)
    assert f"ffmpeg -i '{source}' '{source.with_suffix('.wav')}'" in caught.value.hint


@pytest.fixture
def dying_ffmpeg(tmp_path, monkeypatch):
    """The real programs, but ffmpeg is killed after a moment's work."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "ffmpeg"
    script.write_text(f'#!/bin/sh\n{shutil.which("ffmpeg")} "$@" | head -c 50000\nkill -9 $$\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_an_ffmpeg_that_is_killed_is_an_error_of_that_file(tmp_path, encode, dying_ffmpeg):
    source = tmp_path / "in.m4a"
    subprocess.run(
        [shutil.which("ffmpeg", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin"), "-v", "error",
         "-f", "lavfi", "-i", "sine=d=3", source], check=True)  # fmt: skip
    with pytest.raises(AudioError, match="stopped by signal 9"):
        samples_of(read_info(source))


def test_a_full_disk_leaves_nothing(tmp_path, encode):
    source = encode("in.m4a", "-c:a", "alac", seconds=5)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (source.stat().st_size // 2, unlimited[1]))
    try:
        with pytest.raises(AudioError, match="the disk is full"):
            copy(source, tmp_path / "out.m4a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_copy_leaves_neither_a_file_nor_a_process(error, tmp_path, encode):
    source = encode("in.m4a", "-c:a", "aac", seconds=5)
    info = read_info(source)

    def stop_half_way():
        with AudioWriter(tmp_path / "out.m4a", info) as writer:
            for block in read_blocks(info, 5_000):
                writer.write(block)
                raise error

    with pytest.raises(error):
        stop_half_way()
    assert list(tmp_path.iterdir()) == [source]
    assert no_child_of("ffmpeg")


def no_child_of(name):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not [child for child in psutil.Process().children() if child.name() == name]:
            return True
        time.sleep(0.05)
    return False


def test_a_codec_that_the_container_does_not_hold_is_refused(tmp_path, encode):
    source = encode("in.m4a", "-c:a", "aac")
    with pytest.raises(AudioError, match=r"out\.webm: ffmpeg cannot write it \(.+\)"):
        copy(source, tmp_path / "out.webm", OutputFormat(container="webm", subtype="aac"))
    assert list(tmp_path.iterdir()) == [source]


def test_a_sound_shorter_than_the_delay_of_its_codec_is_written(tmp_path, encode):
    info = read_info(encode("in.aac", "-c:a", "aac"))
    encoder = FfmpegEncoder(tmp_path / "out.aac", info, tmp_path / "out.aac")
    encoder.write(np.full((10, 1), 0.1, dtype=np.float32))
    encoder.finish()
    encoder.release()
