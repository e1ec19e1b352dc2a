"""A run survives what happens to it: kills, full disks, broken batches, changed options."""

from __future__ import annotations

import json
import math
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from mbs_cli.data.report import DataReport
from mbs_cli.errors import CheckpointError, MbsError, UsageError
from mbs_cli.models.checkpoint import load_checkpoint
from mbs_cli.options import command_line
from mbs_cli.training.config import LossConfig, TrainConfig
from mbs_cli.training.events import Remark, Report, StoppedEarly, Validated
from mbs_cli.training.run_state import Progress, load_run, save_run
from mbs_cli.training.step import Learner
from mbs_cli.training.trainer import train
from mbs_cli.training.training_data import open_training_data
from tests.conftest import MbsRunner


def command(config: TrainConfig, *more: str) -> list[str]:
    """The command line of that run, as a process of its own."""
    return shlex.split(command_line(f"{sys.executable} -m mbs_cli train", config)) + list(more)


@pytest.mark.slow
def test_three_kills_at_random_moments_change_no_bit(config: TrainConfig) -> None:
    config = replace(config, steps=25, batch_size=1, save_minutes=0.003, workers=1)
    undisturbed = replace(config, out=config.out / "undisturbed")
    killed = replace(config, out=config.out / "killed")
    train(undisturbed)
    kills = 0
    moments = random.Random(1)
    while not killed.best_weights.exists():
        resume = ["--resume"] if killed.run_state.exists() else []
        with subprocess.Popen(
            command(killed, *resume), stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            if kills < 3 and any("saved" in line for line in process.stderr):
                time.sleep(moments.uniform(0.0, 0.5))
                process.kill()
                kills += 1
            process.communicate()
    assert kills == 3
    for name in ("last.safetensors", "resume.safetensors"):
        whole, pieces = load_file(undisturbed.out / name), load_file(killed.out / name)
        assert whole.keys() == pieces.keys()
        assert all(torch.equal(whole[key], pieces[key]) for key in whole), name


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_full_disk_ends_the_run_and_names_the_last_good_save(config: TrainConfig) -> None:
    config = replace(config, steps=100000, batch_size=1, save_minutes=0.003)
    with subprocess.Popen(command(config), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("saved" in line for line in process.stderr)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        _, errors = process.communicate()
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "make room on the disk" in errors
    (step,) = re.findall(rf"last good save is {config.run_state} of step (\d+)", errors)
    assert train(replace(config, steps=int(step) + 1), resume=True).step == int(step) + 1
    assert not list(config.out.glob(".*"))


def test_a_poisoned_batch_leaves_everything_as_it_was(config: TrainConfig) -> None:
    learner = Learner(replace(config, micro_batch=1), torch.device("cpu"))
    noisy = 0.1 * torch.randn(3, 8000)
    assert learner.step(noisy, noisy.clone(), 0, 0.0).is_finite
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    for poison in (torch.nan, torch.inf):
        poisoned = noisy.clone()
        poisoned[1, 4000] = poison
        for clips in ((poisoned, noisy), (noisy, poisoned)):
            assert not learner.step(*clips, 1, 0.0).is_finite
    for name, tensor in learner.state().items():
        assert torch.equal(tensor, before[name]), name
    assert learner.step(noisy, noisy.clone(), 1, 0.0).is_finite


def test_a_file_of_nan_is_left_out_and_does_not_hurt_the_weights(
    config: TrainConfig, tmp_path: Path
) -> None:
    data = tmp_path / "poisoned"
    shutil.copytree(config.data, data)
    poison = np.full(16_000, np.nan, np.float32)
    soundfile.write(data / "train/clean/nan.wav", poison, 16_000, subtype="FLOAT")
    events: list[object] = []
    finished = train(replace(config, data=data, steps=2), on_event=events.append)
    (report,) = (event for event in events if isinstance(event, DataReport))
    assert any(str(data / "train/clean/nan.wav") in finding.files for finding in report.findings)
    model, _ = load_checkpoint(finished.best)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_bad_steps_in_a_row_name_the_files_of_the_batch(config: TrainConfig) -> None:
    broken = replace(config, steps=100, batch_size=1, loss=LossConfig(magnitude=1e300))
    with pytest.raises(MbsError, match="20 times in a row") as error:
        train(broken)
    files = open_training_data(broken).files_of(19)
    assert all(str(file) in error.value.message for file in files)
    assert "nothing was saved so far" in error.value.hint


def test_the_files_of_a_clip_are_those_that_it_is_made_of(config: TrainConfig) -> None:
    data = open_training_data(config)
    for number in range(5):
        files = data.files_of(number)
        kinds = {file.relative_to(config.data / "train").parts[0] for file in files}
        assert kinds == {"clean", "noise"}
        assert len(files) == len(set(files))


def test_a_run_that_is_given_more_time_warms_up_anew(config: TrainConfig) -> None:
    short = replace(config, steps=4, warmup_steps=4, final_rate=0.0)
    train(short)
    remarks: list[str] = []
    rates: list[float] = []

    def take(event: object) -> None:
        if isinstance(event, Remark):
            remarks.append(event.text)
        if isinstance(event, Report):
            rates.append(event.learning_rate)

    def run(config: TrainConfig, steps: int) -> None:
        left = [False] * steps + [True]
        train(config, resume=True, on_event=take, should_stop=lambda: left.pop(0))

    longer = replace(short, steps=8)
    for steps in (1, 1):  # the second goes on with a warm-up that has begun
        run(longer, steps)
    train(longer, resume=True, on_event=take)
    assert remarks == ["a longer run than before: the learning rate warms up anew"]
    expected = [
        config.learning_rate * warmup * (1 + math.cos(math.pi * share)) / 2
        for warmup, share in ((1 / 4, 4 / 8), (2 / 4, 5 / 8), (1.0, 7 / 8))
    ]
    assert rates == pytest.approx(expected)


def test_an_ended_process_that_mixes_is_told_with_what_to_do(config: TrainConfig) -> None:
    config = replace(config, steps=100000, batch_size=1, save_minutes=0.003, workers=1)
    with subprocess.Popen(command(config), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("saved" in line for line in process.stderr)
        (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "a process that mixes clips was ended: DataLoader worker" in errors
    assert "lower --workers or free memory; the last good save is" in errors


def test_the_start_of_fine_tuning_is_scored_once(config: TrainConfig) -> None:
    train(replace(config, out=config.out / "start"))
    fine = replace(config, init=config.out / "start" / "last.safetensors", out=config.out / "fine")
    train(fine, should_stop=fine.run_state.exists)
    events: list[object] = []
    train(fine, resume=True, on_event=events.append, should_stop=lambda: True)
    assert not [event for event in events if isinstance(event, Validated)]


def test_the_state_saved_holds_all_that_a_step_changes(config: TrainConfig) -> None:
    torch.manual_seed(0)
    noisy = 0.1 * torch.randn(2, 8000)
    one, other = (Learner(config, torch.device("cpu")) for _ in range(2))
    one.step(noisy, noisy.clone(), 0, 0.0)
    progress = Progress(step=1, best_score=2.5, validations_since_best=3, skipped_in_a_row=4)
    save_run(config, progress, one)
    drawn = torch.rand(3)
    assert load_run(config, other) == progress
    assert torch.equal(torch.rand(3), drawn)
    for learner in (one, other):
        learner.step(noisy, noisy.clone(), 1, 0.5)
    for name, tensor in one.state().items():
        assert torch.equal(tensor, other.state()[name]), name


def test_float16_scales_the_gradients_and_resumes_with_the_scale(config: TrainConfig) -> None:
    config = replace(config, precision="float16")
    learner = Learner(config, torch.device("cpu"))
    learner.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    noisy = 0.1 * torch.randn(2, 8000)
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    assert not learner.step(noisy, noisy.clone(), 0, 0.0).is_finite  # too large for float16
    assert learner.scaler.get_scale() < 2.0**40
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.state().items())
    save_run(config, Progress(), learner)
    other = Learner(config, torch.device("cpu"))
    other.scaler = torch.amp.GradScaler("cpu")
    load_run(config, other)
    assert other.scaler.state_dict() == learner.scaler.state_dict()
    with pytest.raises(UsageError, match="--precision float16 needs CUDA"):
        train(replace(config, out=config.out / "other"))


def rewrite_metadata(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = {name: json.loads(value) for name, value in header["__metadata__"].items()}
    change(metadata)
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    save_file(load_file(path), path, texts)


def test_a_run_saved_before_an_option_existed_resumes_with_its_default(config: TrainConfig) -> None:
    def make_old(metadata: dict[str, Any]) -> None:
        metadata["config"].pop("pcs_targets")
        metadata["config"]["loss"].pop("metric_items")
        metadata["config"]["mixing"].pop("remix")
        metadata["config"]["bfloat16"] = metadata["config"].pop("precision") == "bfloat16"
        for name in ("format_version", "mbs_version", "network", "scaler"):
            metadata.pop(name)
        metadata["progress"] = {"step": 1, "seconds": 1.0}

    config = replace(config, precision="float32")
    train(replace(config, steps=1))
    rewrite_metadata(config.run_state, make_old)
    assert train(replace(config, steps=2), resume=True).step == 2
    with pytest.raises(CheckpointError, match="with --pcs-targets False, now it is True"):
        train(replace(config, pcs_targets=True), resume=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "mbs-net"}, "with --model mbs-net-small, now it is mbs-net"),
        ({"seed": 2}, "with --seed 1, now it is 2"),
        ({"precision": "float32"}, "with --precision auto, now it is float32"),
        ({"loss": LossConfig(complex=1.0)}, "with --complex-weight 20.0, now it is 1.0"),
    ],
)
def test_resuming_another_run_names_the_first_field_that_differs(
    config: TrainConfig, changed: dict[str, Any], message: str
) -> None:
    save_run(config, Progress(step=1), Learner(config, torch.device("cpu")))
    with pytest.raises(CheckpointError, match=message):
        train(replace(config, **changed), resume=True)


def test_resuming_a_run_of_another_version_says_so(config: TrainConfig) -> None:
    learner = Learner(config, torch.device("cpu"))
    save_run(config, Progress(step=1), learner)
    rewrite_metadata(config.run_state, lambda metadata: metadata.update(format_version=9))
    with pytest.raises(CheckpointError, match=r"saved by mbs .* in format 9, and this is mbs"):
        load_run(config, learner)
    save_run(config, Progress(step=1), learner)
    rewrite_metadata(config.run_state, lambda metadata: metadata["network"].update(features=999))
    with pytest.raises(CheckpointError, match=r"with network.features 999, now it is"):
        load_run(config, learner)


def test_weights_on_the_way_are_kept_by_step(config: TrainConfig) -> None:
    train(replace(config, steps=5, keep_every=2))
    kept = sorted(config.out.glob("step-*.safetensors"))
    assert [file.name for file in kept] == [
        "step-00000002.safetensors",
        "step-00000004.safetensors",
    ]
    assert [load_checkpoint(file)[1].training["steps"] for file in kept] == [2, 4]


def test_fine_tuning_stops_when_it_gets_no_better(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    events: list[object] = []
    tuned = replace(
        config,
        out=config.out / "tuned",
        init=config.last_weights,
        steps=12,
        patience=2,
        validate_minutes=1e-9,
        learning_rate=1e-12,
        validation_items=1,
    )
    assert tuned.patience_validations == 2
    assert replace(tuned, patience=None).patience_validations > 0
    assert replace(tuned, init=None, patience=None).patience_validations == 0
    finished = train(tuned, on_event=events.append)
    assert finished.complete
    assert finished.step == 6  # half of the run is always done
    assert any(isinstance(event, StoppedEarly) for event in events)
    assert next(event for event in events if isinstance(event, Validated)).step == 0
    assert train(tuned, resume=True).step == finished.step


def test_the_best_score_outlives_a_kill_right_after_its_validation(config: TrainConfig) -> None:
    def die(event: object) -> None:
        if isinstance(event, Validated):
            raise KeyboardInterrupt

    config = replace(config, validate_minutes=1e-9, save_minutes=1e9)
    with pytest.raises(KeyboardInterrupt):
        train(replace(config, validate_minutes=1e9), on_event=die)
    events: list[object] = []
    train(replace(config, steps=7), resume=True, on_event=events.append)
    _, info = load_checkpoint(config.best_weights)
    (validated,) = (event for event in events if isinstance(event, Validated))
    assert validated.best_scores == info.training["validation"]


def test_a_run_goes_on_without_the_file_that_it_began_with(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    start = config.out / "start.safetensors"
    shutil.copy(config.last_weights, start)
    tuned = replace(config, out=config.out / "tuned", init=start, steps=1)
    train(tuned)
    _, begun = load_checkpoint(tuned.last_weights)
    start.unlink()
    train(replace(tuned, steps=2), resume=True)
    _, gone_on = load_checkpoint(tuned.last_weights)
    assert gone_on.training["steps"] == 2
    assert gone_on.training["init_sha256"] == begun.training["init_sha256"]


def test_other_data_are_said_and_the_best_is_chosen_anew(
    config: TrainConfig, tmp_path: Path
) -> None:
    train(replace(config, steps=1))
    other = tmp_path / "other"
    shutil.copytree(config.data, other)
    next(other.glob("valid/clean/*/*.wav")).unlink()
    events: list[object] = []
    train(replace(config, data=other, steps=2), resume=True, on_event=events.append)
    assert [event for event in events if isinstance(event, Remark)] == [
        Remark("the data are not those of the run so far: the best is chosen anew")
    ]
    (validated,) = (event for event in events if isinstance(event, Validated))
    assert validated.is_best


def test_a_finished_run_resumed_is_not_validated_again(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    events: list[object] = []
    assert train(replace(config, steps=1), resume=True, on_event=events.append).complete
    assert not any(isinstance(event, Validated) for event in events)


def test_without_pesq_the_best_is_chosen_by_what_there_is(
    config: TrainConfig, run_mbs: MbsRunner, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "pesq.py").write_text("raise ImportError('no compiler')\n")
    script = (
        f"import sys; sys.path.insert(0, {str(broken)!r}); from mbs_cli.app import main; main()"
    )
    arguments = command(replace(config, steps=2))[3:]
    done = run_mbs(*arguments, script=script, env=os.environ | {"PYTHONPATH": str(broken)})
    assert done.returncode == 0, done.stderr
    _, info = load_checkpoint(config.best_weights)
    assert info.training["validation"].keys() == {"stoi", "si_sdr"}


def test_the_run_folder_says_how_to_repeat_it(
    config: TrainConfig, run_mbs: MbsRunner, tmp_path: Path
) -> None:
    config = replace(config, steps=1, seed=7, switches=("features=16",), workers=1)
    train(config)
    description = json.loads(config.description.read_text())
    assert description["config"] == json.loads(json.dumps(asdict(config), default=str))
    assert description["versions"]["torch"] == torch.__version__
    first = load_file(config.last_weights)
    config.out.rename(tmp_path / "first")
    program, *arguments = description["command"].split()
    assert program == "mbs"
    done = run_mbs(*arguments)
    assert done.returncode == 0, done.stderr
    again = load_file(config.last_weights)
    assert all(torch.equal(first[name], again[name]) for name in first)
