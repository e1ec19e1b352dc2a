"""Files with more sound than their header tells of, less, or a second file behind: none is lost."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.reader import read_blocks
from mbs_cli.data.decoding import Rejection, decode
from mbs_cli.errors import AudioError

JOINED = [
    ("WAV", "PCM_16", "more than one file, a second one begins at byte"),
    ("WAV", "PCM_U8", "more than one file"),
    ("AIFF", "PCM_24", "more than one file"),
    ("CAF", "PCM_16", "more than one file"),
    ("FLAC", "PCM_16", "more than one file"),
    ("OGG", "VORBIS", "more than one stream"),
    ("OGG", "OPUS", "more than one stream"),
    ("AU", "PCM_16", "its header is wrong"),
    ("RF64", "PCM_16", "its header is wrong"),
    ("NIST", "PCM_16", "its header is wrong"),
]
CUT = [
    *(("NIST", "PCM_16"), ("NIST", "ULAW"), ("CAF", "PCM_24"), ("CAF", "ALAC_16")),
    *(("VOC", "PCM_16"), ("PAF", "PCM_24"), ("MAT4", "FLOAT"), ("MAT5", "PCM_16")),
    *(("AVR", "PCM_16"), ("MPC2K", "PCM_16")),
]


@pytest.fixture
def write(tmp_path, wide_band_speech):
    """Two seconds of two channels."""

    def run(container, subtype):
        path = tmp_path / f"a.{container.lower()}"
        soundfile.write(
            path, wide_band_speech(16_000, 2), 16_000, format=container, subtype=subtype
        )
        return path

    return run


@pytest.mark.parametrize(("container", "subtype", "told"), JOINED)
def test_a_file_behind_another_is_not_left_out(container, subtype, told, write):
    path = write(container, subtype)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(AudioError, match=f"{path}: .*{told}") as caught:
        read_info(path)
    assert caught.value.hint
    assert isinstance(decode(path), Rejection)


def test_a_second_file_is_found_across_the_blocks_that_are_read(write, tmp_path):
    part = write("FLAC", "PCM_16").read_bytes()
    path = tmp_path / "joined.flac"
    for missing in range(9):
        filled = part + bytes((1 << 20) - len(part) - missing)
        path.write_bytes(filled + part)
        with pytest.raises(AudioError, match=f"begins at byte {len(filled)} "):
            read_info(path)


@pytest.mark.parametrize(("container", "subtype"), CUT)
@pytest.mark.parametrize("share", [0.501, 0.999])
def test_a_file_cut_short_is_refused(container, subtype, share, write):
    path = write(container, subtype)
    whole = path.read_bytes()
    assert read_info(path).frames >= 32_000
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(AudioError, match=f"{path}: the file is cut short"):
        read_info(path)


def with_half_the_length(container, content):
    """The same file, its header telling of half its sound."""
    if container == "FLAC":
        total = int.from_bytes(content[21:26]) - 16_000  # with some bits of the format before
        return content[:21] + total.to_bytes(5) + content[26:]
    if container == "NIST":
        return content.replace(b"sample_count -i 32000", b"sample_count -i 16000")
    size = 32_000 * 4 + 4
    return content.replace(struct.pack(">q", size), struct.pack(">q", size // 2))


@pytest.mark.parametrize("container", ["FLAC", "NIST", "CAF"])
def test_a_header_that_tells_of_less_is_refused(container, write):
    path = write(container, "PCM_16")
    content = path.read_bytes()
    path.write_bytes(with_half_the_length(container, content))
    assert path.read_bytes() != content
    with pytest.raises(AudioError, match=f"{path}: its header is wrong"):
        read_info(path)


@pytest.mark.parametrize("frames", [1, 4_096, 4_097, 300_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_flac_with_a_true_header_is_read_and_one_frame_more_is_found(
    frames, subtype, tmp_path, wide_band_speech
):
    path = tmp_path / "a.flac"
    samples = np.resize(wide_band_speech(16_000), frames)
    soundfile.write(path, samples, 16_000, subtype=subtype)
    content = path.read_bytes()
    path.write_bytes(content + b"TAG" + bytes(125))
    assert sum(block.shape[1] for block in read_blocks(read_info(path), 50_000)) == frames
    if frames > 1:
        path.write_bytes(content[:21] + (int.from_bytes(content[21:26]) - 1).to_bytes(5)
                         + content[26:])  # fmt: skip
        with pytest.raises(AudioError, match="1 more are there"):
            read_info(path)
