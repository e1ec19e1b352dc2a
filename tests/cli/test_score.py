"""`mbs score` as a process: what it prints, writes and returns."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLEAN, NOISY = EXAMPLES / "clean", EXAMPLES / "noisy"
QUICK = ("--metrics", "si_sdr,snr", "--jobs", "1")


@pytest.fixture
def better(tmp_path: Path) -> Path:
    """All examples with half of the noise, as WAV, in a folder with a difficult name."""
    folder = tmp_path / "half the noise \u00fc"
    folder.mkdir()
    for path in CLEAN.iterdir():
        clean, noisy = (soundfile.read(root / path.name)[0] for root in (CLEAN, NOISY))
        soundfile.write(folder / f"{path.stem}.wav", 0.5 * (clean + noisy), 16000)
    return folder


def test_a_comparison_with_intervals(run_mbs, better, tmp_path):
    files = ("--csv", "all.csv", "--json", "all.json")
    result = run_mbs("score", CLEAN, NOISY, better, *QUICK, *files)
    assert result.returncode == 0, result.stderr
    assert "half the noise" in result.stdout
    assert "8 of 8 scored" in result.stdout
    assert "+6.0 [+6.0, +6.0] *" in result.stdout
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    noisy, half = content["systems"]
    assert half["mean"]["snr"] - noisy["mean"]["snr"] == pytest.approx(6.02, abs=0.01)
    assert content["command"].startswith("mbs score ")
    table = (tmp_path / "all.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(io.StringIO(table)))
    assert len(lines) == 16


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_standard_output_holds_the_results_alone(run_mbs, option):
    result = run_mbs("score", CLEAN, NOISY, *QUICK, option, "-")
    if option == "--json":
        assert json.loads(result.stdout)["systems"][0]["scored"] == 8
    else:
        assert len(list(csv.DictReader(io.StringIO(result.stdout)))) == 8
    assert "scored 8 of 8" in result.stderr


def test_what_is_wrong_is_listed_and_does_not_stop_the_rest(run_mbs, better):
    names = sorted(path.name for path in better.iterdir())
    (better / names[0]).unlink()
    (better / names[1]).write_bytes(b"nonsense")
    samples, _ = soundfile.read(better / names[2])
    soundfile.write(better / names[2], samples[:-5], 16000)
    result = run_mbs("score", CLEAN, better, *QUICK)
    assert result.returncode == 1
    assert "5 of 8 scored" in result.stdout
    assert f"no counterpart in {better}: {names[0][:-4]}" in result.stderr
    assert "not an audio file" in result.stderr
    assert "lengths differ" in result.stderr
    assert "Traceback" not in result.stderr
    assert "6 of 8 scored" in run_mbs("score", CLEAN, better, *QUICK, "--trim").stdout


def test_silence_fails_only_when_strict(run_mbs, better):
    name = min(path.name for path in better.iterdir())
    samples, _ = soundfile.read(better / name)
    soundfile.write(better / name, np.zeros_like(samples), 16000)
    lenient, strict = (
        run_mbs("score", CLEAN, better, *QUICK, *more) for more in ([], ["--strict"])
    )
    assert (lenient.returncode, strict.returncode) == (0, 1)
    assert "7 of 8 scored" in lenient.stdout
    assert "estimate is silent" in lenient.stderr


def test_a_late_system_is_reported_and_aligned_on_demand(run_mbs, better):
    for path in better.iterdir():
        samples, _ = soundfile.read(path)
        soundfile.write(path, np.concatenate([np.zeros(160), samples[:-160]]), 16000)
    late = run_mbs("score", CLEAN, better, *QUICK, "--json", "-")
    aligned = run_mbs("score", CLEAN, better, *QUICK, "--json", "-", "--align")
    assert "+160 samples" in late.stderr
    means = [json.loads(one.stdout)["systems"][0]["mean"]["si_sdr"] for one in (late, aligned)]
    assert means[0] < 0 < means[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CLEAN], "nothing to score"),
        ([CLEAN, NOISY, "--metrics", "mos"], "There is no metric 'mos'"),
        ([CLEAN, NOISY / "en_babble_5db.flac"], "files and folders mixed"),
        (["--no-reference", NOISY, "--metrics", "stoi"], "stoi: needs a reference"),
        ([CLEAN, NOISY, "--json", "-", "--csv", "-"], "both go to standard output"),
        ([CLEAN, NOISY, "--json", "absent/x.json"], "cannot be written there"),
        (
            [CLEAN, NOISY, "--csv", "all.txt", "--json", "./all.txt"],
            "both --csv and --json go there",
        ),
        ([CLEAN, NOISY, "--json", "x.html", "--html", "x.html"], "both --json and --html go there"),
        ([CLEAN, NOISY, "--weights", "mbs-net"], "expected EST=NAME|PATH"),
        ([CLEAN, NOISY, "--weights", f"{NOISY}={CLEAN}"], "is a folder, expected a model's file"),
    ],
)
def test_wrong_usage_ends_with_2(run_mbs, arguments, message):
    result = run_mbs("score", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "hint:" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder where nobody may write")
@pytest.mark.parametrize(("option", "name"), [("--csv", "x.csv"), ("--html", "x.html")])
def test_a_folder_that_takes_no_files_is_noticed_before_the_work(run_mbs, option, name):
    result = run_mbs("score", CLEAN, NOISY, *QUICK, option, f"/proc/{name}")
    assert result.returncode == 2
    assert f"/proc/{name}: " in result.stderr
    assert "cannot be written" in result.stderr
    assert "scored" not in result.stderr


def test_an_output_that_fails_costs_only_itself(run_mbs, tmp_path):
    outputs = ("--csv", "all.csv", "--json", "all.json", "--html", "all.html")

    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))

    result = run_mbs("score", CLEAN, NOISY, *QUICK, *outputs, preexec_fn=small_files_only)
    assert result.returncode == 1
    assert "8 of 8 scored" in result.stdout
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 9
    assert "error: all.json: cannot be written (File too large)" in result.stderr
    assert "error: all.html: the report cannot be written (File too large)" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_odd_files_are_not_scored_and_odd_names_are(run_mbs, tmp_path, noisy_speech):
    """All through the tables and files: what one sound is never ends the run."""
    accent = os.fsdecode(b"_\xe9")
    clean = noisy_speech[:8_000].astype(np.float64)
    short = np.concatenate([np.zeros(900), clean[-100:]])
    reference, system = tmp_path / "clean", tmp_path / os.fsdecode(b"syst\xe8me")
    for folder, loud in ((reference, clean), (system, 1e160 * clean)):
        folder.mkdir()
        for name, samples in (("good", 0.9 * clean), ("huge", loud), ("short", short)):
            soundfile.write(tmp_path / "x.wav", samples, 16_000, subtype="DOUBLE")
            (tmp_path / "x.wav").rename(folder / f"{name}{accent}.wav")
    files = ("--csv", "all.csv", "--json", "all.json")
    metrics = ("--metrics", "si_sdr,lsd", "--jobs", "1")
    result = run_mbs("score", reference, system, *metrics, *files)
    assert (result.returncode, "Traceback" in result.stderr) == (0, False), result.stderr
    assert "1 of 3 scored" in result.stdout
    assert "syst\\udce8me" in result.stdout
    assert "estimate has samples as large as" in result.stderr
    assert "silent but for its last, incomplete frame" in result.stderr
    (found,) = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["systems"]
    assert [len(row["values"]) for row in found["rows"]] == [2, 0, 1]
    assert found["rows"][0]["name"] == f"good{accent}"
    assert "good_\\udce9" in (tmp_path / "all.csv").read_text(encoding="utf-8")


def test_two_single_files_are_compared_without_a_reference(run_mbs, tmp_path, noisy_speech):
    for name in ("before.wav", "after.wav"):
        soundfile.write(tmp_path / name, noisy_speech[:1_000], 16_000)
    lone = ("--no-reference", "--metrics", "all", "--jobs", "1", "--json", "-")
    result = run_mbs("score", *lone, "before.wav", "after.wav")
    content = json.loads(result.stdout)
    assert content["metrics"] == ["dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808"]
    for system, name in zip(content["systems"], ("before.wav", "after.wav"), strict=True):
        (row,) = system["rows"]
        assert (system["name"], row["name"], row["estimate"]) == (name, "before", name)
        assert row["reasons"]["dnsmos_sig"].startswith("too short: 0.062 s")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_what_only_ffmpeg_reads_is_scored(run_mbs, tmp_path, noisy_file):
    (tmp_path / "coded").mkdir()
    lossless = ("-c:a", "alac", "-sample_fmt", "s16p", "coded/en_babble_5db.m4a")
    subprocess.run(["ffmpeg", "-v", "error", "-i", noisy_file, *lossless], check=True, cwd=tmp_path)
    reference = tmp_path / "clean"
    reference.mkdir()
    shutil.copy(noisy_file, reference)
    result = run_mbs("score", reference, "coded", *QUICK, "--json", "-")
    assert result.returncode == 0, result.stderr
    (system,) = json.loads(result.stdout)["systems"]
    assert system["mean"] == {"si_sdr": 100.0, "snr": 100.0}


def test_without_ffmpeg_what_it_would_read_is_listed(run_mbs, tmp_path):
    (tmp_path / "coded").mkdir()
    first, second, *_ = sorted(path.stem for path in CLEAN.iterdir())
    (tmp_path / "coded" / f"{first}.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(5_000))
    shutil.copy(NOISY / f"{second}.flac", tmp_path / "coded")
    environment = {**os.environ, "PATH": str(tmp_path)}
    result = run_mbs("score", CLEAN, "coded", *QUICK, env=environment)
    assert result.returncode == 1
    assert "1 of 8 scored" in result.stdout
    assert f"{first}.m4a: not an audio file that libsndfile reads" in result.stderr
    assert f"install ffmpeg or convert it first: ffmpeg -i coded/{first}.m4a" in result.stderr


def test_the_weights_of_a_system_are_recorded(run_mbs, small_checkpoint):
    import hashlib

    weights = f"{NOISY}={small_checkpoint}"
    result = run_mbs("score", CLEAN, NOISY, *QUICK, "--json", "-", "--weights", weights)
    expected = hashlib.sha256(small_checkpoint.read_bytes()).hexdigest()
    assert json.loads(result.stdout)["systems"][0]["weights_sha256"] == expected


def test_ctrl_c_ends_at_once_and_writes_what_was_scored(tmp_path):
    many = {name: tmp_path / name for name in ("clean", "noisy")}
    for name, folder in many.items():
        folder.mkdir()
        for number in range(40):
            (folder / f"{number:03}.flac").hardlink_to(EXAMPLES / name / "en_babble_5db.flac")
    command = [sys.executable, "-m", "mbs_cli", "score", *many.values()]
    process = subprocess.Popen(
        [*map(str, command), "--json", "part.json", "--jobs", "1"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("scored 4 of 40"), line
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - start < 5
    assert "interrupted: what was finished is kept\n" in errors  # and nothing about going on
    assert "Traceback" not in errors
    (system,) = json.loads((tmp_path / "part.json").read_text())["systems"]
    assert 4 <= system["files"] == system["scored"] < 40
    assert f"{system['files']} of {system['files']} scored" in output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("option", [(), ("--csv", "-")])
def test_a_full_standard_output_costs_no_file(run_mbs, tmp_path, option):
    outputs = (*option, "--json", "all.json", "--html", "all.html")
    pair = (side / "en_babble_5db.flac" for side in (CLEAN, NOISY))
    with Path("/dev/full").open("w") as full:
        result = run_mbs(
            *("score", *pair, *QUICK, *outputs),
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert result.returncode == 1
    assert "error: standard output: cannot be written (No space left on device)" in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.html", "all.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_a_pipe_gets_the_results_and_a_link_stays(run_mbs, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.csv").symlink_to("all.csv")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        result = run_mbs("score", CLEAN, NOISY, *QUICK, "--json", "pipe", "--csv", "link.csv")
        assert result.returncode == 0, result.stderr
        content, _ = reader.communicate(timeout=60)
    assert json.loads(content)["systems"][0]["scored"] == 8
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link.csv").is_symlink()
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 9
