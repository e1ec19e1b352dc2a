"""Training on real audio: it learns, and it resumes to the very same numbers."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.errors import CheckpointError, MbsError, UsageError
from mbs_cli.models.checkpoint import file_sha256, load_checkpoint
from mbs_cli.models.config import PRESETS
from mbs_cli.models.registry import build_model
from mbs_cli.training.config import LossConfig, TrainConfig
from mbs_cli.training.events import Report, Started, Validated
from mbs_cli.training.losses import enhancement_loss, negative_si_sdr_bels
from mbs_cli.training.optimizer import learning_rate_at, make_optimizer
from mbs_cli.training.run_state import recipe_of
from mbs_cli.training.trainer import train


def test_the_loss_falls_and_the_run_folder_is_complete(config: TrainConfig) -> None:
    events: list[object] = []
    config = replace(config, switches=(), steps=40, warmup_steps=5, batch_size=1)
    loss = LossConfig(snr=0.0, si_sdr=1.0, over_attenuation=0.0, loudness=0.0)
    config = replace(config, learning_rate=3e-3, validation_items=2, loss=loss)
    finished = train(config, on_event=events.append)
    assert finished.complete
    model, info = load_checkpoint(config.best_weights)
    assert info.preset == "mbs-net-small"
    assert info.training["steps"] == 40
    assert info.training["validation"].keys() == {"pesq_wb", "stoi", "si_sdr"}
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    validated = [event for event in events if isinstance(event, Validated)]
    assert validated[-1].noisy_scores["stoi"] > 0.5
    with config.metrics_file.open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["step"]) == 40
    assert float(rows[-1]["valid_pesq_wb"]) > 1.0
    reports = [event for event in events if isinstance(event, Report)]
    steps = np.diff([0, *(report.step for report in reports)])
    # Over all steps: how many the last report is a mean of depends on the speed of the machine.
    mean_loss = np.average([report.loss for report in reports], weights=steps)
    assert mean_loss < 12.0  # the untrained model stands near 15


def test_a_resumed_run_gives_the_same_numbers_as_an_undisturbed_one(config: TrainConfig) -> None:
    train(config)
    stopped = replace(config, out=config.out.with_name("stopped"))
    steps = iter(range(100))
    first = train(stopped, should_stop=lambda: next(steps) >= 3)
    assert not first.complete
    assert first.step == 3
    events: list[object] = []
    train(stopped, resume=True, on_event=events.append)
    assert any(isinstance(event, Started) and event.step == 3 for event in events)
    whole, pieces = load_file(config.run_state), load_file(stopped.run_state)
    assert whole.keys() == pieces.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, pieces[name]), name


def test_resuming_with_another_recipe_names_the_option(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    with pytest.raises(CheckpointError, match="--batch-size 2"):
        train(replace(config, batch_size=3), resume=True)
    with pytest.raises(UsageError, match="holds a run already"):
        train(config)
    with pytest.raises(UsageError, match="no run to resume"):
        train(replace(config, out=config.out / "other"), resume=True)


def test_fine_tuning_starts_from_the_weights_given(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    start, _ = load_checkpoint(config.last_weights)
    tuned = replace(config, out=config.out / "tuned", init=config.last_weights, steps=1)
    train(replace(tuned, learning_rate=1e-12))
    model, info = load_checkpoint(tuned.last_weights)
    for name, tensor in start.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=1e-6)
    assert info.training["init_sha256"] == file_sha256(config.last_weights)
    with pytest.raises(
        CheckpointError, match="holds the model custom with features=8, layers=1"
    ) as told:
        train(replace(tuned, out=config.out / "other", switches=()))
    assert "--switch features=8 --switch layers=1 --switch decoder_hidden=8" in told.value.hint


def test_checkpointing_activations_is_no_part_of_the_recipe(config: TrainConfig) -> None:
    assert recipe_of(replace(config, checkpoint_activations=True)) == recipe_of(config)


def test_a_damaged_resume_file_is_named(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    config.run_state.write_bytes(config.run_state.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be resumed from"):
        train(config, resume=True)
    save_file({"a": torch.zeros(1)}, config.run_state)
    with pytest.raises(CheckpointError, match="cannot be resumed from"):
        train(config, resume=True)


def test_growing_starts_from_what_two_models_have_in_common(
    config: TrainConfig, small_checkpoint: Path, run_mbs: Callable[..., Any]
) -> None:
    options = ("--steps", 2, "--batch-size", 1, "--learning-rate", 1e-12, "--validation-items", 1)
    done = run_mbs(
        *("train", config.data, "--out", config.out, "--model", "mbs-net-small", *options),
        *("--switch", "time_layer=bidirectional-mamba", "--init", small_checkpoint, "--grow"),
        *("--device", "cpu", "--workers", 0, "--cache", config.cache, "--precision", "float32"),
    )
    assert done.returncode == 0, done.stderr
    taken = re.search(r"(\d+) of (\d+) tensors, the others are new", done.stderr)
    assert taken is not None
    assert 0 < int(taken[1]) < int(taken[2])
    start, _ = load_checkpoint(small_checkpoint)
    model, _ = load_checkpoint(config.last_weights)
    spectrum = torch.randn(1, 257, 20, 2)
    with torch.no_grad():
        torch.testing.assert_close(model(spectrum), start(spectrum), rtol=0, atol=1e-5)


def test_growing_from_a_model_with_nothing_in_common_is_refused(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    other = replace(config, model="bsrnn", switches=(), init=config.last_weights)
    other = replace(other, out=config.out / "other")
    with pytest.raises(CheckpointError, match=r"holds the model custom.*--grow"):
        train(other)
    with pytest.raises(CheckpointError, match="nothing of the model custom fits bsrnn"):
        train(replace(other, grow=True))


def test_steps_without_end_that_are_not_finite_stop_the_run(config: TrainConfig) -> None:
    broken = replace(config, steps=100, batch_size=1, loss=LossConfig(magnitude=1e300))
    with pytest.raises(MbsError, match="not finite 20 times in a row"):
        train(broken)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": None}, "either --minutes or --steps"),
        ({"minutes": 1.0}, "either --minutes or --steps"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"learning_rate": math.nan}, "--learning-rate nan"),
        ({"seed": -1}, "--seed -1: expected 0 to"),
        ({"seed": 2**63}, "--seed 9223372036854775808"),
        ({"grow": True}, "--grow: there is nothing to grow from"),
    ],
)
def test_options_that_make_no_sense_are_named(
    config: TrainConfig, options: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        replace(config, **options)


def test_an_unknown_model_is_named(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match="no model 'big'"):
        train(replace(config, model="big"))


@pytest.mark.parametrize("preset", ["mbs-net-original", "bsrnn"])
def test_biases_gains_decays_and_step_sizes_keep_their_size(
    config: TrainConfig, preset: str
) -> None:
    model = build_model(PRESETS[preset])
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, kept = (
        {names[id(parameter)].rpartition(".")[2] for parameter in group["params"]}
        for group in make_optimizer(model, config).param_groups
    )
    assert all("weight" in name for name in decayed)
    assert {"gain", "shift", "bias", "norm_gain", "norm_shift", "hidden_bias"} <= kept


def test_the_learning_rate_rises_then_falls_to_its_floor(config: TrainConfig) -> None:
    rates = [
        learning_rate_at(step, step / 100, replace(config, warmup_steps=10)) for step in range(101)
    ]
    assert rates[0] == pytest.approx(config.learning_rate * 0.1, rel=0.01)
    assert max(rates) == rates[9] or max(rates) == rates[10]
    assert rates[-1] == pytest.approx(config.learning_rate * config.final_rate)


def test_loss_and_gradient_are_finite_on_silence_and_full_scale() -> None:
    for level in (0.0, 1.0):
        noisy = level * torch.sign(torch.randn(2, 4000))
        estimate = torch.zeros(2, 257, 32, 2, requires_grad=True)
        loss, _ = enhancement_loss(
            estimate, noisy, torch.zeros(2, 4000), FRAMES_16_MS, LossConfig()
        )
        loss.backward()
        assert torch.isfinite(loss)
        assert estimate.grad is not None
        assert torch.isfinite(estimate.grad).all()


def test_si_sdr_loss_ignores_scale_and_silent_targets() -> None:
    target = torch.randn(3, 8000)
    estimate = target + 0.1 * torch.randn(3, 8000)
    loss = negative_si_sdr_bels(estimate, target)
    assert loss.item() == pytest.approx(-2.0, abs=0.05)  # 20 dB
    assert negative_si_sdr_bels(3 * estimate, target).item() == pytest.approx(loss.item(), abs=1e-3)
    target[1] = 0
    assert negative_si_sdr_bels(estimate, target).item() == pytest.approx(-2.0, abs=0.1)
    assert negative_si_sdr_bels(estimate, torch.zeros(3, 8000)).item() == 0.0


def test_switches_change_the_model_that_is_trained(config: TrainConfig) -> None:
    config = replace(config, steps=1, switches=("time_layer=lstm", "features=16"))
    train(config)
    model, info = load_checkpoint(config.last_weights)
    assert info.preset == "custom"
    assert (model.config.time_layer, model.config.features) == ("lstm", 16)
    for switch in ("time_layer", "time_layer=gru", "colour=red", "features=0"):
        with pytest.raises(UsageError, match=switch.split("=")[0]):
            replace(config, switches=(switch,))


def test_processor_time_can_limit_a_run(config: TrainConfig) -> None:
    reports: list[object] = []
    config = replace(config, steps=None, minutes=0.02, clock="cpu")
    finished = train(config, on_event=reports.append)
    assert finished.complete
    _, info = load_checkpoint(config.last_weights)
    minutes = info.training["processor_hours"] * 60  # kept in steps of 0.06
    assert minutes == pytest.approx(0.02, abs=0.11)


def test_targets_can_be_stretched(config: TrainConfig) -> None:
    plain = train(replace(config, steps=2))
    stretched = train(replace(config, steps=2, out=config.out / "pcs", pcs_targets=True))
    weights = [load_file(run.best.with_name("last.safetensors")) for run in (plain, stretched)]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
