"""MPEG files are decoded to their last frame, whatever libsndfile takes for their length."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.reader import read_blocks
from mbs_cli.errors import AudioError

MP3_FRAME = 576  # samples, at 16 kHz
MP2_FRAME = 1_152
ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\4\0\0\0\0\1\0" + b"\xff\xfb\x90\xc4" * 32
APE = b"APETAGEX" + b"\xd0\7\0\0\x28\0\0\0" + bytes(48)


@pytest.fixture
def write_mp3(tmp_path, noisy_speech):
    """An MP3 of 5 s whose bit rate varies, with or without the frame that tells its length."""

    def write(name, *, is_loud_first=True, has_tag=False, rate_hz=16_000):
        path = tmp_path / name
        fade = np.geomspace(1, 1e-4, len(noisy_speech)).astype(np.float32)
        soundfile.write(
            path, noisy_speech * (fade if is_loud_first else fade[::-1]), rate_hz, format="MP3"
        )
        content = path.read_bytes()
        first_bytes = content.index(content[:2], 4)
        assert b"Xing" in content[:first_bytes]
        path.write_bytes(content if has_tag else content[first_bytes:])
        return path

    return write


def read(path):
    info = read_info(path)
    samples = np.concatenate(list(read_blocks(info, 10_000)), axis=1)
    assert samples.shape[1] == info.frames
    return samples[0]


@pytest.mark.parametrize("is_loud_first", [True, False])
def test_an_mp3_without_a_length_is_read_to_its_end(is_loud_first, write_mp3):
    path = write_mp3("a.mp3", is_loud_first=is_loud_first)
    told = read(write_mp3("told.mp3", is_loud_first=is_loud_first, has_tag=True))
    samples = read(path)
    estimate = soundfile.info(path).frames
    assert estimate < len(told) * 0.9 if is_loud_first else estimate > len(told) * 1.1
    assert len(samples) % MP3_FRAME == 0
    delay = len(samples) - len(told)  # of the encoder, which nothing tells of any more
    assert 0 < delay < 4 * MP3_FRAME
    starts = range(delay + 1)
    assert min(np.abs(samples[start:][: len(told)] - told).max() for start in starts) < 1e-3


def test_an_mp3_that_tells_of_no_frames_is_read_to_its_end(write_mp3):
    path = write_mp3("a.mp3", has_tag=True)
    content = path.read_bytes()
    count = content.index(b"Xing") + 8
    path.write_bytes(content[:count] + bytes(4) + content[count + 4 :])
    assert len(read(path)) == len(read(write_mp3("b.mp3")))


def test_tags_around_the_frames_are_no_sound_and_are_kept(write_mp3):
    path = write_mp3("a.mp3")
    samples = read(path)
    path.write_bytes(ID3V2 + path.read_bytes() + APE + ID3V1.replace(b"\0" * 5, b"Hello", 1))
    assert np.array_equal(read(path), samples)
    assert read_info(path).tags["title"] == "Hello"


def test_an_mp2_of_several_bit_rates_is_read_to_its_end(tmp_path):
    # MPEG-1 Layer II, 48 kHz, mono, silence: frames of 32 kbit/s, then of 48.
    low, high = (bytes([0xFF, 0xFD, code, 0xC0]) + bytes(rest) for code, rest in
                 ((0x14, 92), (0x24, 140)))  # fmt: skip
    for name, content in (("up.mp2", low * 50 + high * 50), ("down.mp2", high * 50 + low * 50)):
        (tmp_path / name).write_bytes(content)
        assert soundfile.info(tmp_path / name).frames != 100 * MP2_FRAME
        assert len(read(tmp_path / name)) == 100 * MP2_FRAME


def test_an_mp3_behind_another_is_not_left_out(write_mp3, tmp_path):
    path = tmp_path / "joined.mp3"
    part = write_mp3("part.mp3", has_tag=True).read_bytes()
    path.write_bytes(part + ID3V2 + part)
    with pytest.raises(AudioError, match=r"joined\.mp3: it holds more than one stream") as caught:
        read_info(path)
    assert "ffmpeg -i" in caught.value.hint


def test_a_change_of_the_sample_rate_on_the_way_is_refused(write_mp3, tmp_path):
    path = tmp_path / "joined.mp3"
    parts = [write_mp3(f"{rate_hz}.mp3", rate_hz=rate_hz) for rate_hz in (16_000, 24_000)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(AudioError, match="the sample rate or the MPEG layer changes"):
        read_info(path)


def test_an_mp3_without_a_length_that_ends_inside_a_frame_is_refused(write_mp3):
    path = write_mp3("cut.mp3")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(AudioError, match=r"cut\.mp3: the file is cut short"):
        read_info(path)


@pytest.mark.parametrize("difference", [-1, 1])
def test_an_mp3_that_miscounts_its_frames_by_one_is_read_whole(difference, write_mp3):
    path = write_mp3("a.mp3", has_tag=True)
    samples = read(path)
    content = bytearray(path.read_bytes())
    count = content.index(b"Xing") + 8
    told = int.from_bytes(content[count : count + 4]) + difference
    content[count : count + 4] = told.to_bytes(4)
    path.write_bytes(content)
    np.testing.assert_array_equal(read(path), samples)
