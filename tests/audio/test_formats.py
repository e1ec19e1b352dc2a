"""What is read and how it is written back: container, sample format, length, and nothing half."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.output_info import describe_output
from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.writer import AudioWriter
from mbs_cli.errors import AudioError

FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_U8"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_24"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_24"),
    ("CAF", "ALAC_16"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
LOSSLESS = {"PCM_16", "PCM_24", "PCM_U8", "FLOAT", "ULAW", "ALAC_16"}


def copy(source, target):
    info = read_info(source)
    with AudioWriter(target, describe_output(info, OutputFormat())) as writer:
        for block in read_blocks(info, 1_000):
            writer.write(block)
    return writer


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_copy_has_the_same_format_and_length(
    container, subtype, channels, tmp_path, wide_band_speech
):
    source, target = tmp_path / "in", tmp_path / "out"
    soundfile.write(
        source, wide_band_speech(16_000, channels), 16_000, format=container, subtype=subtype
    )
    copy(source, target)
    before, after = soundfile.info(source), soundfile.info(target)
    assert (after.format, after.subtype) == (container, subtype)
    assert (after.samplerate, after.channels, after.frames) == (16_000, channels, before.frames)
    if subtype in LOSSLESS:
        assert np.array_equal(soundfile.read(source)[0], soundfile.read(target)[0])


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
@pytest.mark.parametrize("folder", [b"plain", b"voil\xe0"])
def test_names_need_not_be_utf_8(folder, tmp_path, noisy_file):
    source, target = (tmp_path / os.fsdecode(folder + name) for name in (b"/\xe9.flac", b"/\xe8"))
    source.parent.mkdir()
    shutil.copy(noisy_file, source)
    copy(source, target)
    assert target.read_bytes()[:4] == b"fLaC"


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_a_file_cut_short_is_refused(container, subtype, tmp_path, wide_band_speech):
    path = tmp_path / "cut"
    soundfile.write(path, wide_band_speech(16_000), 16_000, format=container, subtype=subtype)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(AudioError, match=str(path)):
        copy(path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_piped_wav_without_a_known_size_is_read(tmp_path, wide_band_speech):
    path = tmp_path / "piped.wav"
    soundfile.write(path, wide_band_speech(16_000), 16_000, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    data = content.index(b"data")
    content[4:8] = content[data + 4 : data + 8] = b"\xff" * 4
    path.write_bytes(content)
    assert sum(block.shape[1] for block in read_blocks(read_info(path), 1_000)) == 32_000


@pytest.mark.parametrize("content", [b"", b"hello", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_not_audio_is_refused(content, tmp_path):
    path = tmp_path / "noise.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"noise\.wav"):
        read_info(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_sample_that_is_no_number_is_named(value, tmp_path):
    path = tmp_path / "bad.wav"
    samples = np.zeros((3_000, 2), dtype=np.float32)
    samples[2_500, 1] = samples[2_900, 0] = value
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="sample 2500 of channel 2"):
        list(read_blocks(read_info(path), 1_000))


def test_integer_formats_are_clipped_and_counted_and_float_is_not(tmp_path):
    loud = np.array([[0.5, 1.5, -2.0, 0.1]], dtype=np.float32)
    kept = {}
    for subtype in ("PCM_16", "FLOAT"):
        source, target = tmp_path / f"{subtype}.wav", tmp_path / f"{subtype}-out.wav"
        soundfile.write(source, np.zeros(4), 16_000, subtype=subtype)
        with AudioWriter(target, read_info(source)) as writer:
            writer.write(loud)
        kept[subtype] = soundfile.read(target, dtype="float32")[0], writer.clipped_samples
    assert kept["PCM_16"][1] == 2
    assert np.allclose(kept["PCM_16"][0], [0.5, 1.0, -1.0, 0.1], atol=1e-4)
    assert kept["FLOAT"][1] == 0
    assert np.array_equal(kept["FLOAT"][0], loud[0])


def write_some_and_fail(target, info, error):
    with AudioWriter(target, info) as writer:
        writer.write(np.zeros((1, 100), dtype=np.float32))
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_nothing(error, tmp_path, noisy_file):
    with pytest.raises(error):
        write_some_and_fail(tmp_path / "out.flac", read_info(noisy_file), error)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_keeps_what_was_there(tmp_path, noisy_file):
    target = tmp_path / "out.flac"
    target.write_bytes(b"before")
    with pytest.raises(ValueError, match="stop"):
        write_some_and_fail(target, read_info(noisy_file), ValueError("stop"))
    assert target.read_bytes() == b"before"


def test_a_format_that_is_read_only_is_refused(tmp_path):
    # MPEG-1 Layer II, 32 kbit/s, 48 kHz, mono: 96 bytes a frame, here of silence.
    frame = bytes([0xFF, 0xFD, 0x14, 0xC0]) + bytes(92)
    (tmp_path / "old.mp2").write_bytes(frame * 200)
    with pytest.raises(AudioError, match="MPEG_LAYER_II cannot be written") as caught:
        copy(tmp_path / "old.mp2", tmp_path / "new.mp2")
    assert "ffmpeg" in caught.value.hint
    assert not (tmp_path / "new.mp2").exists()


# libsndfile encodes ALAC by way of a file in the temporary folder. The limit that plays the full
# disk here would stop that one, too, and then libsndfile ends the process or never returns.
@pytest.mark.parametrize(
    ("container", "subtype"), [pair for pair in FORMATS if pair != ("CAF", "ALAC_16")]
)
def test_a_full_disk_leaves_nothing(container, subtype, tmp_path, noisy_speech):
    source, target = tmp_path / "in", tmp_path / "out"
    soundfile.write(source, noisy_speech, 16_000, format=container, subtype=subtype)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (source.stat().st_size // 2, unlimited[1]))
    try:
        with pytest.raises(AudioError, match="out: the disk is full"):
            copy(source, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert list(tmp_path.iterdir()) == [source]


def test_alac_without_room_in_the_temporary_folder_is_refused(
    tmp_path, wide_band_speech, monkeypatch
):
    source = tmp_path / "in"
    soundfile.write(source, wide_band_speech(16_000), 16_000, format="CAF", subtype="ALAC_16")
    monkeypatch.setenv("TMPDIR", "/proc")  # a folder with no room at all
    with pytest.raises(AudioError, match="temporary folder /proc") as caught:
        copy(source, tmp_path / "out")
    assert "TMPDIR" in caught.value.hint
    assert list(tmp_path.iterdir()) == [source]


def test_an_output_folder_that_cannot_be_made_is_named(noisy_file):
    with pytest.raises(AudioError, match=r"/proc/out/a\.flac") as caught:
        copy_nothing(Path("/proc/out/a.flac"), read_info(noisy_file))
    assert "-o" in caught.value.hint


def test_a_folder_without_write_permission_is_named(tmp_path, noisy_file):
    info = read_info(noisy_file)
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    user = os.geteuid()
    if user == 0:  # root may write everywhere
        os.seteuid(65_534)
    try:
        with pytest.raises(AudioError, match=f"no permission to write into {folder}"):
            copy_nothing(folder / "out.flac", info)
    finally:
        os.seteuid(user)
    assert list(folder.iterdir()) == []


def copy_nothing(target, info):
    with AudioWriter(target, info):
        pass


def test_the_very_long_block_that_breaks_vorbis_is_written(tmp_path, wide_band_speech):
    source, target = tmp_path / "in.ogg", tmp_path / "out.ogg"
    soundfile.write(source, wide_band_speech(48_000), 48_000, format="OGG", subtype="VORBIS")
    block = np.zeros((1, 5_000_000), dtype=np.float32)
    with AudioWriter(target, read_info(source)) as writer:
        writer.write(block)
    assert soundfile.info(target).frames == block.shape[1]
