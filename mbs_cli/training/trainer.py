"""The training loop: mixes, steps, averages, validates, saves; never prints."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mbs_cli.device import resolve_device
from mbs_cli.errors import CheckpointError, MbsError, UsageError
from mbs_cli.models.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.registry import build_model
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.events import (
    Decoding,
    Finished,
    OnEvent,
    Report,
    Saved,
    Scoring,
    Started,
    Validated,
)
from mbs_cli.training.loader import training_batches
from mbs_cli.training.memory import peak_memory_bytes
from mbs_cli.training.records.run_records import open_records
from mbs_cli.training.run_state import Progress, load_run, recipe_of, save_run
from mbs_cli.training.step import Learner, StepResult
from mbs_cli.training.training_data import open_training_data
from mbs_cli.training.validation import score_model, score_noisy, selection_score

REPORT_SECONDS = 20.0
_FIRST_REPORT_SECONDS = 3.0  # soon after the start, to see that all is well
_SKIPPED_IN_A_ROW = 20  # non-finite steps that end the run


def train(
    config: TrainConfig,
    resume: bool = False,
    on_event: OnEvent = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Finished:
    """Train a model as `config` says, in `config.out`; events go to `on_event`.

    With `resume` the run in that folder goes on, step for step as if it had never stopped.
    `should_stop` is asked after every step; the run then saves and ends. Raises DataError for a
    data folder that lacks something, UsageError for options that do not fit, CheckpointError for
    a run that cannot be resumed, MbsError, after saving, for records that cannot be written.
    """
    if config.run_state.exists() and not resume:
        raise UsageError(
            f"{config.out}: holds a run already", "go on with --resume, or use another --out"
        )
    if resume and not config.run_state.exists():
        raise UsageError(f"{config.run_state}: there is no run to resume", "leave out --resume")
    with open_records(config, on_event) as records:
        run = _Run(config, resume, records.take)
        return run.loop(lambda: should_stop() or records.failure is not None)


class _Run:
    """One run from its first or resumed step to its last."""

    def __init__(self, config: TrainConfig, resume: bool, on_event: OnEvent) -> None:
        self.config, self.tell = config, on_event
        self.device = resolve_device(config.device)
        self._open_data()
        config.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.learner = Learner(config, self.device)
        if config.init is not None and not resume:
            self._start_from(config.init)
        self.averaged_model = build_model(config.network).to(self.device).eval()
        self.progress = load_run(config, self.learner) if resume else Progress()
        self.noisy_scores = score_noisy(self.data.validation, self._tell_scored)
        self.skipped_in_a_row = 0

    def _open_data(self) -> None:
        def on_file(done: int, total: int) -> None:
            self.tell(Decoding(done, total))

        self.data = open_training_data(self.config, on_file)
        self.tell(self.data.report)

    def _start_from(self, path: Path) -> None:
        """Take the weights of a checkpoint; raises CheckpointError if it is of another model."""
        start, info = load_checkpoint(path)
        if start.config != self.config.network:
            raise CheckpointError(
                f"{path}: holds the model {info.preset}, and {self.config.model} is to be trained",
                f"give --model {info.preset}, or another --init",
            )
        self.learner.start_from(start)

    def loop(self, should_stop: Callable[[], bool]) -> Finished:
        """Step until the end or until asked to stop; validate and save on the way."""
        parameters = sum(parameter.numel() for parameter in self.learner.model.parameters())
        step, best_scores = self.progress.step, self.progress.best_scores
        self.tell(Started(self.config.model, parameters, str(self.device), step, best_scores))
        batches = training_batches(self.data.train, self.config, self.progress.step)
        window = _Window(self.progress)
        saved_at = validated_at = self.progress.seconds
        report_seconds = _FIRST_REPORT_SECONDS
        while self._share_done() < 1.0 and not should_stop():
            self._timed_step(batches, window)
            now = self.progress.seconds
            if window.seconds >= report_seconds:
                window = self._report(window)
                report_seconds = REPORT_SECONDS
            if now - validated_at >= 60 * self.config.validate_minutes:
                self._validate()
                validated_at = now
            if now - saved_at >= 60 * self.config.save_minutes:
                self._save()
                saved_at = now
        return self._finish(window)

    def _finish(self, window: _Window) -> Finished:
        if window.steps:
            self._report(window)
        complete = self._share_done() >= 1.0
        if complete:
            self._validate()
        self._save()
        best = self.config.best_weights if self.config.best_weights.exists() else None
        finished = Finished(
            self.progress.step,
            self.progress.seconds,
            complete,
            best or self.config.last_weights,
        )
        self.tell(finished)
        return finished

    def _share_done(self) -> float:
        if self.config.steps is not None:
            return self.progress.step / self.config.steps
        assert self.config.minutes is not None
        progress = self.progress
        by_processor = self.config.clock == "cpu"
        seconds = progress.processor_seconds if by_processor else progress.seconds
        return seconds / (60 * self.config.minutes)

    def _timed_step(self, batches: Iterator[tuple[Tensor, Tensor]], window: _Window) -> None:
        started, processor_started = time.monotonic(), time.process_time()
        noisy, target = next(batches)
        window.waited += time.monotonic() - started
        result = self.learner.step(noisy, target, self.progress.step, self._share_done())
        if result.is_finite:
            window.add(result)
            self.skipped_in_a_row = 0
        else:
            self._count_skipped()
        self.progress.step += 1
        self.progress.seconds += time.monotonic() - started
        self.progress.processor_seconds += time.process_time() - processor_started

    def _count_skipped(self) -> None:
        self.progress.skipped_steps += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= _SKIPPED_IN_A_ROW:
            raise MbsError(
                f"step {self.progress.step}: loss or gradient was not finite "
                f"{_SKIPPED_IN_A_ROW} times in a row",
                f"the last good state is {self.config.run_state}; lower --learning-rate",
            )

    def _report(self, window: _Window) -> _Window:
        share = max(self._share_done(), 1e-9)
        left = self.progress.seconds * (1 / share - 1)
        memory = peak_memory_bytes(self.device)
        self.tell(window.report(self.config.batch_size, share, left, memory))
        return _Window(self.progress)

    def _validate(self) -> None:
        self.learner.average.copy_to(self.averaged_model)
        items = self.data.validation
        found, clips = score_model(self.averaged_model, items, self.device, self._tell_scored)
        scores, noisy = found.means, self.noisy_scores
        score = selection_score(scores) if len(scores) == 3 else None
        best = self.progress.best_score
        is_best = score is not None and (best is None or score > best)
        if is_best:
            self.progress.best_score, self.progress.best_scores = score, scores
            self._write_weights(self.config.best_weights, scores)
        self.tell(
            Validated(
                step=self.progress.step,
                scores=scores,
                noisy_scores=noisy.means,
                best_scores=self.progress.best_scores,
                is_best=is_best,
                by_snr_db=found.by_snr_db,
                noisy_by_snr_db=noisy.by_snr_db,
                clips=clips,
            )
        )

    def _tell_scored(self, done: int, total: int) -> None:
        self.tell(Scoring(done, total))

    def _save(self) -> None:
        self.learner.average.copy_to(self.averaged_model)
        self._write_weights(self.config.last_weights, {})
        save_run(self.config, self.progress, self.learner)
        self.tell(Saved(self.progress.step, self.config.run_state))

    def _write_weights(self, path: Path, scores: dict[str, float]) -> None:
        """The averaged weights as a checkpoint that says how they came about."""
        facts = {
            "steps": self.progress.step,
            "hours": round(self.progress.seconds / 3600, 3),
            "processor_hours": round(self.progress.processor_seconds / 3600, 3),
            "clips": self.progress.step * self.config.batch_size,
            "speech_hours": round(self.data.report.training.speech_hours, 2),
            "noise_hours": round(self.data.report.training.noise_hours, 2),
            "device": str(self.device),
            "torch": torch.__version__,
            "init_sha256": file_sha256(self.config.init) if self.config.init else None,
            "recipe": recipe_of(self.config),
            "validation": scores,
        }
        preset = "custom" if self.config.switches else self.config.model
        info = CheckpointInfo(preset, facts, self.data.sources)
        save_checkpoint(path, self.averaged_model, info)


@dataclass
class _Window:
    """Sums since the last report."""

    progress: Progress

    def __post_init__(self) -> None:
        self.start_step, self.start_seconds = self.progress.step, self.progress.seconds
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.steps, self.waited, self.rate = 0, 0.0, 0.0

    @property
    def seconds(self) -> float:
        return self.progress.seconds - self.start_seconds

    def add(self, result: StepResult) -> None:
        self.sums["loss"] += result.loss.item()
        self.sums["gradient_norm"] += result.gradient_norm.item()
        for name, part in result.parts.items():
            self.sums[name] += part.item()
        self.steps += 1
        self.rate = result.learning_rate

    def report(
        self, batch_size: int, share: float, seconds_left: float, memory_bytes: int | None
    ) -> Report:
        means = {name: value / max(self.steps, 1) for name, value in self.sums.items()}
        return Report(
            step=self.progress.step,
            loss=means.pop("loss", float("nan")),
            gradient_norm=means.pop("gradient_norm", float("nan")),
            parts=means,
            learning_rate=self.rate,
            clips_per_second=(self.progress.step - self.start_step)
            * batch_size
            / max(self.seconds, 1e-9),
            data_wait_share=self.waited / max(self.seconds, 1e-9),
            seconds=self.progress.seconds,
            processor_seconds=self.progress.processor_seconds,
            peak_memory_bytes=memory_bytes,
            progress=min(share, 1.0),
            seconds_left=seconds_left,
            skipped_steps=self.progress.skipped_steps,
        )
