"""Several processes share the files; a run that was killed goes on where it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import soundfile

import mbs_cli
from mbs_cli.audio.output_format import ClipPolicy, OutputFormat
from mbs_cli.enhancement.manifest import read_manifest
from mbs_cli.enhancement.report import Advanced, Finished, ModelLoaded, Status
from mbs_cli.enhancement.treatment import ChannelMode, Treatment
from mbs_cli.errors import CheckpointError, UsageError


@pytest.fixture
def folder(tmp_path, noisy_speech):
    (tmp_path / "in").mkdir()
    for place, samples in enumerate([60_000, 300, 9_000, 0, 16_000, 15_000]):
        soundfile.write(tmp_path / f"in/{place}.wav", noisy_speech[:samples], 16_000)
    (tmp_path / "in/broken.wav").write_bytes(b"nothing")
    return tmp_path / "in"


def test_processes_give_what_one_gives(folder, tmp_path, small_checkpoint, small_model):
    events = []
    report = mbs_cli.enhance_paths(
        [folder], tmp_path / "out", model=small_checkpoint, jobs=2, on_event=events.append
    )
    usual = mbs_cli.enhance_paths([folder], tmp_path / "usual", model=small_model)
    assert [file.source for file in report.files] == [file.source for file in usual.files]
    assert [file.status for file in report.files] == [file.status for file in usual.files]
    assert events.count(ModelLoaded()) == 1
    advanced = sum(event.seconds for event in events if isinstance(event, Advanced))
    assert advanced == pytest.approx(report.audio_seconds)
    for file in report.files:
        if file.status is Status.DONE:
            ours, _ = soundfile.read(file.target)
            theirs, _ = soundfile.read(tmp_path / "usual" / file.target.name)
            assert np.abs(ours - theirs).max(initial=0) < 1e-4


def test_processes_treat_and_write_as_one_does(
    tmp_path, small_checkpoint, small_model, wide_band_speech
):
    (tmp_path / "in/deep").mkdir(parents=True)
    for name, rate_hz, channels in (("a", 44_100, 2), ("b", 16_000, 1), ("deep/c", 48_000, 2)):
        speech = 4 * wide_band_speech(rate_hz, channels)
        soundfile.write(tmp_path / f"in/{name}.wav", speech, rate_hz, subtype="FLOAT")
    options = {
        "treatment": Treatment(channels=ChannelMode.MONO, dry=0.3),
        "output_format": OutputFormat(container="flac", clip=ClipPolicy.RESCALE),
    }
    paths = [tmp_path / "in", tmp_path / "in/deep"]  # c twice, to two places
    report = mbs_cli.enhance_paths(
        paths, tmp_path / "out", model=small_checkpoint, jobs=2, **options
    )
    usual = mbs_cli.enhance_paths(paths, tmp_path / "usual", model=small_model, **options)
    assert report.count(Status.DONE) == usual.count(Status.DONE) == 4
    for ours, theirs in zip(report.files, usual.files, strict=True):
        found = soundfile.info(ours.target)
        assert (found.format, found.channels) == ("FLAC", 1)
        assert found.frames == soundfile.info(ours.source).frames
        assert ours.gain_db == pytest.approx(theirs.gain_db, abs=1e-3)
        assert ours.gain_db < -0.5
        difference = soundfile.read(ours.target)[0] - soundfile.read(theirs.target)[0]
        assert np.abs(difference).max() < 1e-4


def test_a_process_that_is_killed_costs_one_file(folder, tmp_path, small_checkpoint):
    soundfile.write(folder / "long.wav", np.zeros(16_000 * 1_200), 16_000)
    finished = []

    def kill_at_the_long_file(event):
        if isinstance(event, Finished):
            finished.append(event.report.source.name)
        elif isinstance(event, Advanced) and finished == ["0.wav"]:
            for child in psutil.Process().children():
                child.kill()

    report = mbs_cli.enhance_paths(
        [folder / "long.wav", folder / "0.wav"],
        tmp_path / "out",
        model=small_checkpoint,
        jobs=2,
        on_event=kill_at_the_long_file,
    )
    lost, done = report.files
    assert (lost.status, done.status) == (Status.FAILED, Status.DONE)
    assert "SIGKILL" in str(lost.failure) or "Killed" in str(lost.failure)
    assert "fewer --jobs" in str(lost.failure)


def test_what_is_wrong_for_all_is_said_once(folder, tmp_path, passthrough):
    with pytest.raises(UsageError, match="by name or path"):
        mbs_cli.enhance_paths([folder], tmp_path / "out", model=passthrough, jobs=2)
    for options in ({"jobs": 0}, {"threads": 0}, {"batch_size": 0}):
        with pytest.raises(UsageError, match="expected at least 1"):
            mbs_cli.enhance_paths([folder], tmp_path / "out", **options)
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    with pytest.raises(CheckpointError, match=r"bad\.safetensors"):
        mbs_cli.enhance_paths(
            [folder], tmp_path / "out", model=tmp_path / "bad.safetensors", jobs=2
        )


def test_an_interruption_ends_all_and_leaves_nothing_half_written(
    folder, tmp_path, small_checkpoint
):
    for name in ("long.wav", "longer.wav"):
        soundfile.write(folder / name, np.zeros(16_000 * 1_200), 16_000)

    def interrupt(event):
        if isinstance(event, Advanced) and event.source.name == "long.wav":
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        mbs_cli.enhance_paths(
            [folder / "long.wav", folder / "longer.wav"],
            tmp_path / "out",
            model=small_checkpoint,
            jobs=2,
            on_event=interrupt,
        )
    assert threading.active_count() == before
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path, small_checkpoint, noisy_speech):
    (tmp_path / "in").mkdir()
    for place in range(120):
        soundfile.write(tmp_path / f"in/{place:03}.wav", noisy_speech[:4_000], 16_000)
    out, table = tmp_path / "out", tmp_path / "table.csv"
    command = [sys.executable, "-m", "mbs_cli", "enhance", tmp_path / "in", "-o", out]
    command += ["--manifest", table, "--model", small_checkpoint]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while len(list(out.glob("*.wav"))) < 20:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (out / f"{next(out.glob('*.wav')).stem}.tmp").touch()  # someone else's
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.wav")}
    assert 20 <= len(before) < 120
    assert all(soundfile.info(path).frames == 4_000 for path in before)
    assert {row["status"] for row in read_manifest(table)} == {"done"}

    again = mbs_cli.enhance_paths([tmp_path / "in"], out, model=small_checkpoint, manifest=table)
    assert (again.count(Status.SKIPPED), again.count(Status.FAILED)) == (len(before), 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert all(soundfile.info(path).frames == 4_000 for path in out.glob("*.wav"))
    assert len(list(out.iterdir())) == 121
    assert len(read_manifest(table)) == 120
