"""`mbs profile` as a command: tables, JSON, a plot, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES, MbsRunner

BRIEFLY = ["--batch-size", 1, "--seconds", 0.3, "--threads", 1]


def test_a_preset_and_a_checkpoint(
    run_mbs: MbsRunner, small_checkpoint: Path, tmp_path: Path
) -> None:
    outputs = ["--json", "profile.json", "--plot", "memory.png", "--sweep", "2,1"]
    result = run_mbs("profile", small_checkpoint, *BRIEFLY, *outputs, timeout=600)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "profile.json").read_text())
    (model,) = report["models"]
    assert model["name"] == str(small_checkpoint)
    assert model["parameters"] == model["components"]["parameters"] == 499_495
    assert model["checkpoint_bytes"] == small_checkpoint.stat().st_size
    assert model["macs_per_second"] > 0
    training = model["training"]
    assert (training["batch_size"], training["seconds"]) == (1, 0.3)
    assert 0 < training["kept_for_backward_bytes"] < training["naive_kept_for_backward_bytes"]
    assert training["kept_for_backward_bytes"] < training["peak_bytes"]
    assert training["step_seconds"] > 0
    assert model["inference"]["peak_bytes"] > 0
    assert model["inference"]["real_time_factor"] > 0
    assert [row["batch_size"] for row in model["sweep"]] == [1, 2]
    assert model["sweep"][0]["peak_bytes"] < model["sweep"][1]["peak_bytes"]
    assert report["machine"]["scan_implementation"] == "cpu"
    assert report["machine"]["training_precision"] in {"float32", "bfloat16"}
    assert report["command"].startswith("mbs profile")
    for title in ("Models", "by component", "Memory of one training step", "naive scan", "Speed"):
        assert title in result.stdout
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")


def test_a_budget_too_small_for_one_clip_says_what_it_needs(run_mbs: MbsRunner) -> None:
    result = run_mbs("profile", "mbs-net-small", *BRIEFLY, "--budget", "1MB", timeout=600)
    assert result.returncode == 2
    assert "--budget 1 MB: for one clip of 0.3 s mbs-net-small needs" in result.stderr
    assert " MB" in result.stderr.partition("needs")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", 0], "--batch-size 0: expected 1 to 65,536 clips"),
        (["--batch-size", 10**18], "expected 1 to 65,536 clips"),
        (["--sweep", "a,b"], "--sweep a,b: expected batch sizes"),
        (["--sweep", "1,0"], "--sweep 0: expected 1 to 65,536 clips"),
        (["--seconds", 0], "--seconds 0: expected a number from 0.1"),
        (["--seconds", "nan"], "--seconds nan: expected a number"),
        (["--threads", 0], "--threads 0: expected at least 1"),
        (["--budget", "much"], "expected an amount such as 4GB"),
        (["--json", "no/such/folder.json"], "cannot be written there"),
        (["--plot", "no/such/folder.png"], "cannot be written there"),
        (["mbs-nut"], "there is no model 'mbs-nut'"),
        (["--device", "mps"], "finds no such device here"),
    ],
)
def test_wrong_options_are_refused(
    run_mbs: MbsRunner, arguments: list[object], message: str
) -> None:
    result = run_mbs("profile", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_checkpoint_that_is_not_ours_is_refused(run_mbs: MbsRunner) -> None:
    path = EXAMPLES / "noisy" / "en_babble_5db.flac"
    result = run_mbs("profile", path)
    assert result.returncode == 2
    assert path.name in result.stderr
    assert "Traceback" not in result.stderr
