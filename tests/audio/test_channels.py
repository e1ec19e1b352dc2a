"""Every channel comes back through ffmpeg as it went in, whatever its layout."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

import mbs_cli
from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.reader import read_blocks
from mbs_cli.enhancement.treatment import ChannelMode
from mbs_cli.errors import AudioError

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")

STEP = 7_919  # samples between the pieces of speech that the channels hold
LENGTH = 24_000
CHANNELS = {"2.1": 3, "3.0": 3, "FL+FR+BC": 3, "3.1": 4, "quad": 4, "5.0": 5, "6.1": 7}


@pytest.fixture
def pieces(noisy_speech):
    """So many channels (C, S) of different speech and level, 16 bits."""

    def make(channels):
        starts = range(0, STEP * channels, STEP)
        sound = np.stack([np.roll(noisy_speech, -start)[:LENGTH] for start in starts])
        sound *= np.linspace(0.3, 0.9, channels)[:, None] / np.abs(sound).max()
        return np.round(sound * 2**15).astype(np.float32) / 2**15

    return make


@pytest.fixture
def encode(tmp_path):
    def run(name, sound, layout, codec):
        path = tmp_path / name
        command = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", "48000"]
        command += ["-channel_layout", layout, "-i", "-", "-c:a", codec, str(path)]
        subprocess.run(command, input=np.ascontiguousarray(sound.T).tobytes(), check=True)
        return path

    return run


@pytest.fixture
def enhance(tmp_path, passthrough):
    """Enhance by a model that changes nothing, and read what came out."""

    def run(source, name, treatment=mbs_cli.Treatment(), **wanted):  # noqa: B008 - frozen
        target, form = tmp_path / name, OutputFormat(**wanted)
        mbs_cli.enhance_file(
            source, target, model=passthrough, treatment=treatment, output_format=form
        )
        info = read_info(target)
        return info, np.concatenate(list(read_blocks(info, 10_000)), axis=1)

    return run


def assert_same_channels(found, sound):
    """Each is what it was, but for what a lossy codec changes."""
    assert found.shape[0] == sound.shape[0]
    for number, (out, was) in enumerate(zip(found, sound, strict=True)):
        error = out[: len(was)] - was[: len(out)]
        assert np.square(error).mean() < 0.1 * np.square(was).mean(), f"channel {number}"


@pytest.mark.parametrize(
    ("suffix", "codec", "layout"),
    [
        *(("mka", "flac", layout) for layout in CHANNELS),
        ("mka", "pcm_s16le", "3.0"),
        ("mov", "pcm_s16le", "quad"),
        ("m4a", "alac", "3.0"),
    ],
)
def test_a_lossless_layout_and_its_channels_stay(suffix, codec, layout, pieces, encode, enhance):
    sound = pieces(CHANNELS[layout])
    source = encode(f"in.{suffix}", sound, layout, codec)
    info, found = enhance(source, f"out.{suffix}")
    assert info.layout == read_info(source).layout
    assert np.abs(found - sound).max() < 2 / 2**15


@pytest.mark.parametrize("layout", ["3.0", "quad", "5.0", "6.1"])
def test_the_channels_of_opus_stay(layout, pieces, encode, enhance):
    sound = pieces(CHANNELS[layout])
    info, found = enhance(encode("in.mka", sound, layout, "flac"), "opus.mka", subtype="opus")
    assert_same_channels(found, sound)
    again, found = enhance(info.path, "again.mka")
    assert again.layout == info.layout == (layout if len(sound) < 5 else "")
    assert_same_channels(found, sound)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("m4a", None),
        ("m4a", "alac"),
        ("mka", None),
        ("mka", "vorbis"),
        ("mka", "ac3"),
        ("aac", None),
    ],
)
def test_channels_without_a_layout_are_not_mixed(
    name, subtype, channels, tmp_path, pieces, enhance
):
    sound = pieces(channels)
    soundfile.write(tmp_path / "in.wav", sound.T, 48_000)
    wanted = {"container": name, "subtype": subtype}
    assert_same_channels(enhance(tmp_path / "in.wav", f"out.{name}", **wanted)[1], sound)


def test_a_codec_of_fewer_channels_is_refused(tmp_path, pieces, enhance):
    soundfile.write(tmp_path / "in.wav", pieces(3).T, 48_000)
    with pytest.raises(AudioError, match=r"out\.mka: mp3 .* 2 channels .* expected 3") as caught:
        enhance(tmp_path / "in.wav", "out.mka", container="mka", subtype="mp3")
    assert "--channels mono" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_channels_that_are_mixed_down_have_their_layout_no_more(pieces, encode, enhance):
    sound = pieces(4)
    treatment = mbs_cli.Treatment(channels=ChannelMode.MONO)
    info, found = enhance(encode("in.mka", sound, "quad", "flac"), "out.mka", treatment)
    assert (info.layout, info.channels) == ("mono", 1)
    assert np.abs(found - sound.mean(axis=0)).max() < 2 / 2**15
