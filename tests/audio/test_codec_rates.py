"""The sample rate that is promised comes out, or nothing does."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile
import soxr

import mbs_cli
from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.reader import read_blocks
from mbs_cli.errors import AudioError

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


@pytest.fixture
def enhance(tmp_path, passthrough, wide_band_speech):
    """Speech of that rate through a model that changes nothing; its report and what came out."""

    def run(rate_hz, name, **wanted):
        source, target = tmp_path / "in.wav", tmp_path / f"out.{name}"
        soundfile.write(source, wide_band_speech(rate_hz), rate_hz)
        form = OutputFormat(container=name, **wanted)
        report = mbs_cli.enhance_file(source, target, model=passthrough, output_format=form)
        return report, read_info(target)

    return run


@pytest.mark.parametrize(
    ("rate_hz", "wanted"),
    [
        (12_345, {"name": "m4a"}),
        (16_000, {"name": "m4a", "sample_rate_hz": 10_000}),
        (22_050, {"name": "mka", "subtype": "ac3"}),
        (44_100, {"name": "webm", "sample_rate_hz": 44_100}),
        (48_000, {"name": "mka", "subtype": "libopus", "sample_rate_hz": 32_000}),
    ],
)
def test_a_rate_that_a_codec_lacks_is_refused_with_those_that_it_has(
    rate_hz, wanted, tmp_path, enhance
):
    asked = wanted.get("sample_rate_hz", rate_hz)
    with pytest.raises(AudioError, match=rf"has no sample rate of {asked} Hz") as caught:
        enhance(rate_hz, **wanted)
    assert "--sample-rate" in caught.value.hint
    assert "48000" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_a_rate_that_ffmpeg_changes_is_noticed(tmp_path, enhance):
    with pytest.raises(AudioError, match="at 32000 Hz, expected 1 channels at 22050 Hz"):
        enhance(22_050, "mka", subtype="ac3_fixed")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


@pytest.mark.parametrize("name", ["webm", "mka", "opus"])
def test_opus_takes_48_khz_for_what_it_lacks_and_says_so(name, enhance, wide_band_speech):
    report, info = enhance(44_100, name)
    assert "48000 Hz" in report.note
    assert "44100 Hz" in report.note
    assert info.sample_rate_hz == 48_000
    found = np.concatenate(list(read_blocks(info, 10_000)), axis=1)[0]
    expected = soxr.resample(wide_band_speech(44_100)[:, 0], 44_100, 48_000)
    assert abs(len(found) - len(expected)) < 2_000
    length = min(len(found), len(expected))
    assert np.corrcoef(found[:length], expected[:length])[0, 1] > 0.95


@pytest.mark.parametrize(
    ("rate_hz", "name", "found_hz"),
    [(16_000, "webm", 48_000), (16_000, "opus", 16_000), (7_350, "aac", 7_350)],
)
def test_a_rate_that_a_codec_has_is_taken_without_a_word(rate_hz, name, found_hz, enhance):
    report, info = enhance(rate_hz, name)
    assert report.note == ""
    assert info.sample_rate_hz == found_hz
    assert info.seconds == pytest.approx(2, abs=0.3)
