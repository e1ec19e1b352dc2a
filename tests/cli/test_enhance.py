"""`mbs enhance` on real files: exit codes, messages and what is on the disk afterwards."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile


@pytest.fixture
def enhance(run_mbs, small_checkpoint):
    def run(*arguments, **options):
        return run_mbs("enhance", *arguments, "--model", small_checkpoint, **options)

    return run


@pytest.fixture
def folder(tmp_path, noisy_speech):
    """Three short files in a tree."""
    for name, samples in {"a.wav": 8_000, "deep/b.wav": 16_000, "deep/c d.wav": 4_001}.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noisy_speech[:samples], 16_000)
    return tmp_path / "in"


def files_below(path):
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def test_a_folder_is_enhanced_with_its_tree_and_a_second_run_skips_it(enhance, folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*.wav")}
    first = enhance(folder, "-o", "out")
    assert first.returncode == 0
    assert files_below(tmp_path / "out") == files_below(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*.wav")} == before
    assert len([line for line in first.stderr.splitlines() if line.startswith("done:")]) == 3
    assert "real-time factor" in first.stdout
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.wav")}
    again = enhance(folder, "-o", "out", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["totals"]["skipped"] == 3
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_bad_file_does_not_stop_the_others(enhance, folder, tmp_path):
    (folder / "broken.wav").write_bytes(b"RIFFnothing of use")
    (folder / "zero.wav").write_bytes(b"")
    bad = np.zeros(1_000, dtype=np.float32)
    bad[500] = np.nan
    soundfile.write(folder / "nan.wav", bad, 16_000, subtype="FLOAT")
    whole = (folder / "deep/b.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    result = enhance(folder, "nowhere", "x" * 300 + ".wav", "-o", "out", "--json")
    assert result.returncode == 1
    for name in ("broken.wav", "zero.wav", "nan.wav", "cut.wav", "nowhere", "xxx.wav"):
        assert name in result.stderr
    assert "hint:" in result.stderr
    assert "sample 500" in result.stderr
    assert "Traceback" not in result.stderr
    report = json.loads(result.stdout)
    assert (report["totals"]["done"], report["totals"]["failed"]) == (3, 6)
    assert report["totals"]["audio_seconds"] == pytest.approx(28_001 / 16_000, abs=1e-6)
    assert report["totals"]["real_time_factor"] > 0
    errors = {file["path"]: file["error"] for file in report["files"]}
    assert errors[str(folder / "a.wav")] is None
    assert "cut short" in errors[str(folder / "cut.wav")]
    assert files_below(tmp_path / "out") == ["a.wav", "deep/b.wav", "deep/c d.wav"]


def test_files_of_no_and_of_one_sample(enhance, tmp_path):
    (tmp_path / "in").mkdir()
    for suffix in ("wav", "ogg", "aiff", "mp3", "flac"):
        soundfile.write(tmp_path / f"in/one.{suffix}", np.array([0.5]), 44_100)
    for suffix in ("wav", "ogg", "aiff"):
        soundfile.write(tmp_path / f"in/none.{suffix}", np.zeros(0), 44_100)
    result = enhance("in", "-o", "out")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("no samples") == 3
    assert files_below(tmp_path / "out") == files_below(tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        assert soundfile.info(tmp_path / "out" / path.name).frames == soundfile.info(path).frames


@pytest.mark.parametrize("output", ["in", "in/out"])
def test_output_in_the_input_is_wrong_usage(output, enhance, folder):
    before = files_below(folder)
    result = enhance(folder, "-o", output)
    assert result.returncode == 2
    assert "input folder" in result.stderr
    assert files_below(folder) == before


def test_two_inputs_for_one_output_are_wrong_usage(enhance, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "twin")
    result = enhance(folder, "twin", "-o", "out")
    assert result.returncode == 2
    assert "both" in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_fails(enhance, tmp_path):
    (tmp_path / "empty").mkdir()
    result = enhance("empty", "-o", "out")
    assert result.returncode == 1
    assert "no audio files" in result.stderr


def test_a_folder_without_permission_fails_alone(enhance, folder, tmp_path):
    closed = folder / "deep"
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip("root may read everything")
        for paths in ([folder], [closed, folder / "a.wav"], [closed / "b.wav", folder / "a.wav"]):
            result = enhance(*paths, "-o", "out", "--json")
            assert result.returncode == 1
            assert "in/deep" in result.stderr
            assert "cannot be read (Permission denied)" in result.stderr
            assert "Traceback" not in result.stderr
            assert json.loads(result.stdout)["totals"]["failed"] == 1
    finally:
        closed.chmod(0o755)
    assert files_below(tmp_path / "out") == ["a.wav"]


def test_a_full_disk_fails_one_file_and_leaves_nothing_of_it(enhance, tmp_path, noisy_speech):
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/long.wav", noisy_speech, 16_000)
    soundfile.write(tmp_path / "in/short.wav", noisy_speech[:8_000], 16_000)

    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    result = enhance("in", "-o", "out", preexec_fn=small_files_only)
    assert result.returncode == 1
    assert "long.wav: the disk is full" in result.stderr
    assert "Traceback" not in result.stderr
    assert files_below(tmp_path / "out") == ["short.wav"]


def test_an_unknown_model_is_wrong_usage(run_mbs, folder):
    result = run_mbs("enhance", folder, "-o", "out", "--model", "mbs-nett")
    assert result.returncode == 2
    assert "mbs-nett" in result.stderr


def test_ctrl_c_ends_with_130_and_nothing_half_written(tmp_path, small_checkpoint, noisy_speech):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.resize(noisy_speech, 16_000 * 1_200), 16_000)
    command = [sys.executable, "-m", "mbs_cli", "enhance", path, "-o", tmp_path / "out"]
    process = subprocess.Popen(
        [*command, "--model", small_checkpoint], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and not list((tmp_path / "out").glob(".*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    # Python ends by the signal itself, which shells show as 130 too, if that broke into an `exec`.
    assert process.returncode in (130, -signal.SIGINT)
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert list((tmp_path / "out").iterdir()) == []
