"""The discriminator of a run: measured beside the step, learnt from later, resumed exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from metric_case import CONFIG, at_step, make_metric, run_steps
from safetensors.torch import load_file
from torch import Tensor

from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.audio.stft import stft
from mbs_cli.errors import MbsError, UsageError
from mbs_cli.scoring.pesq import pesq_wb
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.events import Report
from mbs_cli.training.losses import enhancement_loss
from mbs_cli.training.metric_discriminator import DELAY_STEPS, MetricDiscriminator
from mbs_cli.training.pesq_labels import PesqLabels, wait_for_pesq
from mbs_cli.training.spectra import Comparison, compare
from mbs_cli.training.trainer import train


@pytest.fixture
def metric() -> Iterator[MetricDiscriminator]:
    metric = make_metric(workers=2)
    yield metric
    metric.close()


def worker_processes() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "mbs_cli.scoring.worker_process" in child.cmdline()]


def test_a_label_is_the_pesq_of_the_pair(noisy: Tensor, clean: Tensor) -> None:
    labels = PesqLabels(workers=2)
    values, reason = wait_for_pesq(labels.submit(clean, noisy))
    labels.close()
    expected = [pesq_wb(*pair) for pair in zip(clean.numpy(), noisy.numpy(), strict=True)]
    assert values == pytest.approx(expected, abs=1e-6)
    assert not reason
    assert not worker_processes()


def test_it_learns_exactly_so_many_steps_later(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor
) -> None:
    assert run_steps(metric, noisy, clean, range(DELAY_STEPS)) == [0.0] * DELAY_STEPS
    assert metric.learnt == 0
    terms = run_steps(metric, noisy, clean, range(DELAY_STEPS, DELAY_STEPS + 2))
    assert terms[0] == 0.0
    assert terms[1] > 0.0
    assert metric.learnt == 2


def test_no_step_waits_for_what_is_being_measured(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor
) -> None:
    run_steps(metric, noisy, clean, range(DELAY_STEPS))
    for clips in metric._under_way:
        wait_for_pesq(clips.measurements)
    stopped = worker_processes()
    for process in stopped:
        process.suspend()
    run_steps(metric, noisy, clean, range(DELAY_STEPS, 2 * DELAY_STEPS))
    assert stopped
    assert not any(measurement.done() for measurement in metric._under_way[-1].measurements)
    assert metric.seconds_waited < 0.1
    for process in stopped:
        process.resume()
    run_steps(metric, noisy, clean, range(2 * DELAY_STEPS, 2 * DELAY_STEPS + 1))
    assert metric.learnt == DELAY_STEPS + 1


def test_the_clips_of_a_step_done_again_or_in_pieces_count_once(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor
) -> None:
    metric.term(at_step(noisy, clean, 4))  # fails later, for lack of memory
    metric.begin_step()
    for piece in (slice(0, 1), slice(1, 2)):
        metric.term(at_step(noisy[piece], clean[piece], 0))
    metric.learn(0)
    expected = at_step(noisy, clean, 0)
    (clips,) = metric._under_way
    torch.testing.assert_close(clips.clean, expected.wanted_samples)
    torch.testing.assert_close(clips.heard, expected.heard_samples)


def test_its_scores_come_to_follow_pesq(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor
) -> None:
    def error() -> float:
        errors = []
        for step in range(5):
            pair = at_step(noisy, clean, step)
            scores = metric.network(pair.wanted.magnitude, pair.heard.magnitude)
            samples = zip(clean.numpy(), pair.heard_samples.numpy(), strict=True)
            goals = torch.tensor([(pesq_wb(*pair) - 1) / 3.5 for pair in samples])
            errors.append((scores - goals).square().mean().item())
        return sum(errors)

    before = error()
    run_steps(metric, noisy, clean, range(30 + DELAY_STEPS))
    assert metric.learnt == 30
    assert error() < 0.3 * before


def test_a_step_down_the_term_raises_the_score_of_the_estimate(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor
) -> None:
    run_steps(metric, noisy, clean, range(DELAY_STEPS + 5))
    estimate = stft(noisy, FRAMES_16_MS).requires_grad_()
    _, parts = enhancement_loss(
        estimate, noisy, clean, FRAMES_16_MS, CONFIG, networks={"metric": metric.term}
    )
    (slope,) = torch.autograd.grad(parts["metric"], estimate)
    after = estimate.detach() - 1e-2 * estimate.norm() / slope.norm() * slope
    before_scores, after_scores = (
        metric.network(pair.wanted.magnitude, pair.heard.magnitude)
        for pair in (
            compare(spectrum, noisy, clean, FRAMES_16_MS) for spectrum in (estimate, after)
        )
    )
    assert (after_scores > before_scores).all()
    assert all(parameter.grad is None for parameter in metric.network.parameters())


@pytest.mark.parametrize("stop", [3, DELAY_STEPS + 3])
def test_a_resumed_run_gives_the_same_numbers_as_an_undisturbed_one(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor, stop: int
) -> None:
    end = DELAY_STEPS + 6
    expected = run_steps(metric, noisy, clean, range(end))
    first, resumed = make_metric(), make_metric(seed=2)
    terms = run_steps(first, noisy, clean, range(stop))
    resumed.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    first.close()
    terms += run_steps(resumed, noisy, clean, range(stop, end))
    resumed.close()
    assert terms == expected
    assert_same_state(metric.state_dict(), resumed.state_dict())


def test_a_resume_starts_no_child_before_the_next_step(noisy: Tensor, clean: Tensor) -> None:
    first, resumed = make_metric(), make_metric(seed=2)
    run_steps(first, noisy, clean, range(3))
    state = first.state_dict()
    first.close()
    resumed.load_state_dict(state)
    assert not worker_processes()
    resumed.begin_step()
    assert all(clips.measurements for clips in resumed._under_way)
    resumed.close()


def assert_same_state(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def assert_same_gradient(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    """Of the first update: afterwards Adam makes much of the smallest difference."""
    assert first["learnt"] == second["learnt"] == 1
    for name in (name for name in first if name.startswith("optimizer/exp_avg/")):
        torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=1e-6)


def test_a_state_that_lacks_something_is_refused(metric: MetricDiscriminator) -> None:
    state = metric.state_dict()
    with pytest.raises(KeyError):
        metric.load_state_dict({name: state[name] for name in state if name != "learnt"})
    with pytest.raises(RuntimeError):
        metric.load_state_dict({"learnt": torch.tensor(0)})


def test_a_killed_worker_is_replaced_and_its_clips_are_measured(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor
) -> None:
    run_steps(metric, noisy, clean, range(DELAY_STEPS))
    killed = worker_processes()
    for process in killed:
        os.kill(process.pid, signal.SIGKILL)
    run_steps(metric, noisy, clean, range(DELAY_STEPS, 2 * DELAY_STEPS))
    assert killed
    assert metric.learnt == DELAY_STEPS
    undisturbed = make_metric()
    run_steps(undisturbed, noisy, clean, range(2 * DELAY_STEPS))
    undisturbed.close()
    assert_same_state(metric.state_dict(), undisturbed.state_dict())


@pytest.mark.parametrize("what", ["target", "estimate", "nan"])
def test_a_clip_without_pesq_is_left_out_and_not_its_batch(
    noisy: Tensor, clean: Tensor, what: str
) -> None:
    updates = []
    for is_alone in (False, True):
        metric = make_metric()
        pair = at_step(noisy, clean, 1)
        heard, wanted = pair.heard_samples.clone(), pair.wanted_samples.clone()
        (wanted if what == "target" else heard)[1] = float("nan") if what == "nan" else 0.0
        count = 1 if is_alone else 2
        metric.term(
            Comparison(heard[:count], wanted[:count], pair.estimate, pair.scale, FRAMES_16_MS)
        )
        metric.learn(0)
        metric.learn(DELAY_STEPS)
        metric.close()
        assert metric.learnt == 1
        updates.append(metric.state_dict())
    assert_same_gradient(*updates)


def test_everything_is_finite_on_silence_which_teaches_nothing(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor
) -> None:
    run_steps(metric, noisy, clean, range(DELAY_STEPS + 1))
    silence = torch.zeros(2, 16_000)
    estimate = torch.zeros(2, 257, 64, 2, requires_grad=True)
    for step in range(DELAY_STEPS + 1, 2 * DELAY_STEPS + 3):
        for target in (silence, clean):
            loss, parts = enhancement_loss(
                estimate, silence, target, FRAMES_16_MS, CONFIG, networks={"metric": metric.term}
            )
            (slope,) = torch.autograd.grad(loss, estimate)
            assert torch.isfinite(slope).all()
        assert "metric" in parts
        metric.learn(step)
    assert metric.learnt == DELAY_STEPS + 1


def test_a_run_without_a_single_label_stops_and_says_why() -> None:
    metric = make_metric()
    silence = compare(
        torch.zeros(1, 257, 33, 2), torch.zeros(1, 4100), torch.zeros(1, 4100), FRAMES_16_MS
    )
    with pytest.raises(MbsError, match=r"50 steps in a row .* reference is silent"):
        run_silent_steps(metric, silence)
    metric.close()


def run_silent_steps(metric: MetricDiscriminator, silence: Comparison) -> None:
    for step in range(50 + DELAY_STEPS):
        assert metric.term(silence).item() == 0.0
        metric.learn(step)


def test_without_the_pesq_package_the_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)  # as if it were not installed
    with pytest.raises(UsageError, match="--metric-weight needs the pesq package"):
        make_metric()


def test_a_whole_run_with_it_resumes_to_the_same_numbers(config: TrainConfig) -> None:
    config = replace(config, steps=DELAY_STEPS + 4, loss=replace(CONFIG, metric_start=0.1))
    events: list[object] = []
    train(config, on_event=events.append)
    stopped = replace(config, out=config.out.with_name("stopped"))
    steps = iter(range(100))
    train(stopped, should_stop=lambda: next(steps) >= DELAY_STEPS)
    train(stopped, resume=True)
    assert_same_state(load_file(config.run_state), load_file(stopped.run_state))
    assert [event for event in events if isinstance(event, Report)][-1].parts["metric"] > 0
    assert not worker_processes()


def test_two_processes_learn_what_one_learns_from_the_clips_of_both(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor, tmp_path: Path
) -> None:
    script = Path(__file__).with_name("metric_case.py")
    commands = [[sys.executable, script, str(rank), tmp_path] for rank in range(2)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    errors = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    assert_same_state(first, second)
    run_steps(metric, noisy, clean, range(DELAY_STEPS + 1))
    alone = metric.state_dict()
    assert_same_gradient(first, alone)
    assert first.keys() == alone.keys()
    for step in range(1, DELAY_STEPS + 1):
        torch.testing.assert_close(first[f"heard/{step}"], alone[f"heard/{step}"])
