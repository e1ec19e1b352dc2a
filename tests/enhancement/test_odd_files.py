"""Files at the edges of what files can be, through the Python calls."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mbs_cli
from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import ClipPolicy, OutputFormat
from mbs_cli.audio.reader import read_blocks
from mbs_cli.enhancement.report import Status
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import AudioError, UsageError

RATES_HZ = {1: 3, 10: 30, 999: 2_000, 192_000: 9_600, 768_000: 38_400}  # and samples


def test_any_rate_width_and_number_of_channels(tmp_path, small_model, noisy_speech):
    folder = tmp_path / "in"
    folder.mkdir()
    for rate_hz, samples in RATES_HZ.items():
        speech = noisy_speech[20_000 : 20_000 + samples]
        soundfile.write(folder / f"{rate_hz}hz.wav", speech, rate_hz, subtype="FLOAT")
    speech = noisy_speech[20_000:22_000]
    for bits in (1, 7, 12, 20, 32):
        soundfile.write(folder / f"{bits}bit.wav", speech, 16_000, subtype="PCM_16")
        content = bytearray((folder / f"{bits}bit.wav").read_bytes())
        content[34] = bits
        (folder / f"{bits}bit.wav").write_bytes(content)
    soundfile.write(folder / "64bit.wav", speech, 16_000, subtype="DOUBLE")
    soundfile.write(folder / "64ch.wav", np.tile(speech[:, None], 64), 16_000)
    report = mbs_cli.enhance_paths([folder], tmp_path / "out", model=small_model)
    assert report.count(Status.DONE) == len(list(folder.iterdir())) == 12
    for path in folder.iterdir():
        before, after = soundfile.info(path), soundfile.info(tmp_path / "out" / path.name)
        assert (after.frames, after.samplerate) == (before.frames, before.samplerate)
        assert (after.channels, after.subtype) == (before.channels, before.subtype)


@pytest.mark.parametrize("change", ["grows", "shrinks", "goes"])
def test_a_file_that_changes_while_it_is_read_fails(change, tmp_path, noisy_speech):
    path = tmp_path / "a.wav"
    soundfile.write(path, noisy_speech, 16_000)
    blocks = read_blocks(read_info(path), 4_000)
    next(blocks)
    if change == "goes":
        path.unlink()
    else:
        with path.open("r+b") as stream:
            stream.truncate(200_000 if change == "grows" else 20_000)
    with pytest.raises(AudioError, match=r"a\.wav: the file was written to while it was read"):
        list(blocks)


def test_without_ffmpeg_only_its_formats_fail(tmp_path, passthrough, noisy_speech, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    soundfile.write(tmp_path / "a.wav", noisy_speech[:8_000], 16_000)
    (tmp_path / "b.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(2_000))
    report = mbs_cli.enhance_paths(
        [tmp_path / "a.wav", tmp_path / "b.m4a"], tmp_path / "out", model=passthrough
    )
    good, bad = report.files
    assert (good.status, bad.status) == (Status.DONE, Status.FAILED)
    assert f"ffmpeg -i {tmp_path / 'b.m4a'} {tmp_path / 'b.wav'}" in bad.failure.hint


def test_an_empty_file_is_written_in_the_format_asked_for(tmp_path, passthrough):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 44_100)
    target = tmp_path / "none.aiff"
    mbs_cli.enhance_file(
        tmp_path / "none.wav",
        target,
        model=passthrough,
        output_format=OutputFormat(container="aiff"),
    )
    assert (soundfile.info(target).format, soundfile.info(target).frames) == ("AIFF", 0)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_video_without_its_picture_says_so(tmp_path, passthrough, noisy_file):
    import subprocess

    film = tmp_path / "film.mp4"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=1:s=64x48"]
    subprocess.run([*command, "-i", noisy_file, "-c:v", "mpeg4", "-c:a", "aac", film], check=True)
    report = mbs_cli.enhance_file(film, tmp_path / "sound.mp4", model=passthrough)
    assert "--video keeps it" in report.note


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_what_is_no_file_and_what_cannot_be_read_fail_alone(tmp_path, passthrough, noisy_speech):
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "a.wav", noisy_speech[:8_000], 16_000)
    os.mkfifo(folder / "pipe.wav")
    odd = Path("/sys/class/net/lo/speed")  # opens, and fails to be read
    if odd.exists():
        (folder / "odd.wav").symlink_to(odd)
    report = mbs_cli.enhance_paths([folder], tmp_path / "out", model=passthrough)
    failures = {file.source.name: str(file.failure) for file in report.files if file.failure}
    assert report.count(Status.DONE) == 1
    assert "a pipe or a device, not a file" in failures["pipe.wav"]
    assert "Invalid argument" in failures.get("odd.wav", "Invalid argument")


@pytest.mark.parametrize("blocks", [24, 25])
def test_gsm_has_the_blocks_that_are_there(blocks, tmp_path, passthrough, noisy_speech):
    samples = noisy_speech[: 320 * blocks]
    soundfile.write(tmp_path / "a.wav", samples, 8_000, subtype="GSM610")
    before, _ = soundfile.read(tmp_path / "a.wav", len(samples), dtype="float32")
    mbs_cli.enhance_file(tmp_path / "a.wav", tmp_path / "b.wav", model=passthrough)
    assert read_info(tmp_path / "a.wav").frames == read_info(tmp_path / "b.wav").frames
    assert read_info(tmp_path / "a.wav").frames == 320 * blocks
    after, _ = soundfile.read(tmp_path / "b.wav", len(samples), dtype="float32")
    assert np.corrcoef(before, after)[0, 1] > 0.99


def test_modes_are_known_by_their_names(tmp_path, passthrough, noisy_speech):
    stereo = np.stack([noisy_speech[:8_000], -noisy_speech[:8_000]], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000)
    options = {"model": passthrough, "treatment": Treatment(channels="mono")}
    mbs_cli.enhance_file(tmp_path / "a.wav", tmp_path / "b.wav", **options)
    assert soundfile.info(tmp_path / "b.wav").channels == 1
    assert OutputFormat(clip="rescale").clip is ClipPolicy.RESCALE
    with pytest.raises(UsageError, match="--channels both: not known"):
        Treatment(channels="both")
    with pytest.raises(UsageError, match="--clip never: not known"):
        OutputFormat(clip="never")
