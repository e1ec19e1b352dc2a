"""The formats that a user asks for: what stays, what changes, what cannot be."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import FORMATS, OutputFormat
from mbs_cli.audio.output_info import describe_output
from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.resampling import Resampler, resampled_length
from mbs_cli.audio.writer import AudioWriter
from mbs_cli.errors import AudioError, UsageError

TAGS = {"title": "M\u00fcller", "artist": "A", "comment": "C", "date": "2020", "album": "B"}


@pytest.fixture
def tagged(tmp_path, wide_band_speech):
    def make(container, subtype, rate_hz=16_000):
        path = tmp_path / "in"
        with soundfile.SoundFile(
            path, "w", samplerate=rate_hz, channels=1, format=container, subtype=subtype
        ) as sound:
            for name, value in TAGS.items():
                setattr(sound, name, value)
            sound.write(wide_band_speech(rate_hz))
        return path

    return make


def convert(source, target, **wanted):
    info = read_info(source)
    with AudioWriter(target, describe_output(info, OutputFormat(**wanted))) as writer:
        for block in read_blocks(info, 10_000):
            writer.write(block)
    return read_info(target)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("RF64", "FLOAT"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("CAF", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_tags_stay(container, subtype, tagged, tmp_path):
    kept = convert(tagged(container, subtype), tmp_path / "out").tags
    assert {name: kept[name] for name in TAGS} == TAGS


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        (("WAV", "PCM_16"), "flac", ("FLAC", "PCM_16")),
        (("WAV", "PCM_24"), "flac", ("FLAC", "PCM_24")),
        (("WAV", "FLOAT"), "flac", ("FLAC", "PCM_24")),
        (("FLAC", "PCM_24"), "wav", ("WAV", "PCM_24")),
        (("WAV", "FLOAT"), "caf", ("CAF", "FLOAT")),
        (("OGG", "VORBIS"), "wav", ("WAV", "PCM_16")),
        (("WAV", "PCM_16"), "mp3", ("MP3", "MPEG_LAYER_III")),
        (("WAV", "PCM_16"), "opus", ("OGG", "OPUS")),
        (("OGG", "OPUS"), "ogg", ("OGG", "VORBIS")),
    ],
)
def test_a_new_container_keeps_the_sample_format_that_it_can_hold(
    before, name, after, tagged, tmp_path
):
    written = convert(tagged(*before), tmp_path / f"out.{name}", container=name)
    assert (written.container, written.subtype) == after
    assert written.frames == 32_000
    if name != "mp3":
        assert written.tags["title"] == TAGS["title"]


def test_a_subtype_alone_changes_the_bits(tagged, tmp_path):
    assert convert(tagged("WAV", "PCM_16"), tmp_path / "out", subtype="float").subtype == "FLOAT"


def test_every_format_has_what_it_takes_by_default():
    for name, container in FORMATS.items():
        if container.name.isupper():
            assert soundfile.check_format(container.name, container.subtype), name


def test_a_subtype_that_the_container_does_not_hold_is_refused(tagged, tmp_path):
    with pytest.raises(AudioError, match="FLAC does not hold FLOAT") as caught:
        convert(tagged("FLAC", "PCM_16"), tmp_path / "out", subtype="FLOAT")
    assert "PCM_24" in caught.value.hint
    with pytest.raises(UsageError, match="--format docx"):
        OutputFormat(container="docx")
    with pytest.raises(UsageError, match="--sample-rate 0"):
        OutputFormat(sample_rate_hz=0)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
@pytest.mark.parametrize(("name", "codec"), [("m4a", "aac"), ("mka", "opus")])
def test_what_libsndfile_reads_is_written_by_ffmpeg(name, codec, tagged, tmp_path):
    written = convert(tagged("WAV", "PCM_16", 48_000), tmp_path / f"o.{name}", container=name)
    assert written.subtype == codec
    assert written.seconds == pytest.approx(2, abs=0.05)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
@pytest.mark.parametrize("there", ["m4a", "mka"])
@pytest.mark.parametrize("back", ["flac", "wav"])
def test_tags_go_through_ffmpeg_and_come_back(there, back, tagged, tmp_path):
    source, between = tagged("FLAC", "PCM_16", 48_000), tmp_path / f"o.{there}"
    for written in (
        convert(source, between, container=there),
        convert(between, tmp_path / f"o.{back}", container=back),
    ):
        assert {name: written.tags.get(name) for name in TAGS} == TAGS


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_a_title_in_the_letters_of_windows_is_read(encoding, tmp_path, noisy_speech):
    title = "M\u00fcller \u201c5 \u20ac\u201d"
    path = tmp_path / "old.wav"
    soundfile.write(path, noisy_speech[:1_000], 16_000)
    text = title.encode(encoding) + b"\0"
    text += b"\0" * (len(text) % 2)
    tag = b"INFOINAM" + struct.pack("<I", len(text)) + text
    content = path.read_bytes() + b"LIST" + struct.pack("<I", len(tag)) + tag
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    assert read_info(path).tags["title"] == title
    assert convert(path, tmp_path / "new.wav").tags["title"] == title


@pytest.mark.parametrize("rates_hz", [(16_000, 48_000), (44_100, 8_000), (48_000, 100)])
@pytest.mark.parametrize("samples", [1, 2, 1_000])
def test_resampling_in_any_blocks_has_the_right_length(rates_hz, samples):
    resampler = Resampler(*rates_hz, 2)
    signal = np.full((2, samples), 0.25, dtype=np.float32)
    pieces = [resampler.feed(signal[:, start : start + 97]) for start in range(0, samples, 97)]
    pieces.append(resampler.feed(signal[:, :0], last=True))
    assert np.concatenate(pieces, axis=1).shape == (2, resampled_length(samples, *rates_hz))
