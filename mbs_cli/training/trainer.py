"""The training loop: mixes, steps, averages, validates, saves; never prints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from mbs_cli.data.layout import find_splits, read_sources
from mbs_cli.errors import CheckpointError, OutOfMemory, UsageError
from mbs_cli.memory import is_out_of_memory
from mbs_cli.models.checkpoint import load_checkpoint
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.events import (
    DataReport,
    Decoding,
    Event,
    Finished,
    Report,
    Saved,
    Started,
    StoppedEarly,
    Validated,
)
from mbs_cli.training.guarded_step import GuardedSteps
from mbs_cli.training.loader import make_mixer, training_batches
from mbs_cli.training.metrics_file import MetricsFile
from mbs_cli.training.processes import Processes, is_lost_contact, joined_processes
from mbs_cli.training.report_window import ReportWindow
from mbs_cli.training.run_folder import Checkpoints, write_description
from mbs_cli.training.run_state import Progress, load_run
from mbs_cli.training.step import Learner
from mbs_cli.training.validation import score_model, score_noisy, selection_score, validation_items

REPORT_SECONDS = 20.0

OnEvent = Callable[[Event], None]


def train(
    config: TrainConfig,
    resume: bool = False,
    on_event: OnEvent = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Finished:
    """Train a model as `config` says, in `config.out`; events go to `on_event`.

    With `resume` the run in that folder goes on, step for step as if it had never stopped; so does
    one that torchrun starts again, from its last save or from the start if there is none.
    `should_stop` is asked after every step; the run then saves and ends. Under torchrun all
    processes call this alike; only the first one (rank 0) tells of events and writes.

    Raises DataError for a data folder that lacks something, UsageError for options that do not
    fit, CheckpointError for a run that cannot be resumed or saved, OutOfMemory with the options
    that fit, DeviceError for a device that is not there.
    """
    with joined_processes(config.device) as (processes, device):
        if processes.is_first:
            resume = _decide_resume(config, resume, processes.is_restart)
        else:
            on_event = _ignore
        resume = bool(processes.largest(processes.is_first and resume)[0])
        return _Run(config, resume, on_event, processes, device).loop(should_stop)


def _ignore(_: Event) -> None:
    """Tell nobody."""


def _decide_resume(config: TrainConfig, resume: bool, is_restart: bool) -> bool:
    """Whether there is a run to go on with; raises UsageError if that is not what was asked for."""
    is_there = config.run_state.exists()
    if is_restart:
        return is_there
    if is_there and not resume:
        raise UsageError(
            f"{config.out}: holds a run already", "go on with --resume, or use another --out"
        )
    if resume and not is_there:
        raise UsageError(f"{config.run_state}: there is no run to resume", "leave out --resume")
    return resume


class _Run:
    """One run from its first or resumed step to its last."""

    def __init__(
        self,
        config: TrainConfig,
        resume: bool,
        on_event: OnEvent,
        processes: Processes,
        device: torch.device,
    ) -> None:
        self.config, self.tell = config, on_event
        self.processes, self.device = processes, device
        self._check_options()
        with processes.one_before_the_others():
            self._open_data()
        torch.manual_seed(config.seed)
        self.learner = Learner(config, device, processes)
        if config.init is not None and not resume:
            self._start_from(config.init)
        self.progress = load_run(config, self.learner) if resume else Progress()
        self.checkpoints = Checkpoints(
            config, self.learner, self.progress, self._data_facts(), read_sources(config.data)
        )
        self.steps = GuardedSteps(
            self.learner, self.progress, self.mixer.files_of, self.checkpoints.last_good, self.tell
        )
        if processes.is_first:
            if not resume:
                write_description(config, device, processes.count)
            self.metrics = MetricsFile(config.metrics_file, self.progress.step)
            self.noisy_scores = score_noisy(self.items)

    def _check_options(self) -> None:
        if self.config.precision == "float16" and self.device.type != "cuda":
            raise UsageError(
                f"--precision float16 needs CUDA, and the device is {self.device.type}",
                "give --precision bfloat16",
            )
        if self.config.batch_size < self.processes.count:
            raise UsageError(
                f"--batch-size {self.config.batch_size}: fewer clips than the "
                f"{self.processes.count} processes",
                "it is the number of clips of all devices together",
            )

    def _open_data(self) -> None:
        training, validation = find_splits(self.config.data)

        def on_file(done: int, total: int) -> None:
            self.tell(Decoding(done, total))

        self.mixer = make_mixer(training, self.config, on_file)
        held_out = make_mixer(validation, self.config, on_file)
        self.items = validation_items(held_out, self.config.validation_items)
        speech, noise = self.mixer.speech, self.mixer.noise
        self.data_report = DataReport(
            speech_hours=speech.store.hours,
            noise_hours=noise.store.hours,
            speakers=len(speech.groups),
            noise_classes=len(noise.groups),
            rooms=len(self.mixer.rooms.files) if self.mixer.rooms else 0,
            validation_items=len(self.items),
            unreadable=speech.store.skipped | noise.store.skipped,
        )
        self.tell(self.data_report)

    def _data_facts(self) -> dict[str, float]:
        return {
            "speech_hours": round(self.data_report.speech_hours, 2),
            "noise_hours": round(self.data_report.noise_hours, 2),
        }

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
        self.tell(Started(self.config.model, parameters, str(self.device), self.progress.step))
        try:
            return self._loop(should_stop)
        except (OutOfMemory, RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise OutOfMemory(
                    f"step {self.progress.step}: memory ran out, but not in a step: {error!r}",
                    f"lower --workers or free memory; {self.checkpoints.last_good()}",
                ) from error
            is_intact = isinstance(error, OutOfMemory) or is_lost_contact(error)
            if is_intact and self.progress.step and self.processes.is_first:
                self._save()
            raise

    def _loop(self, should_stop: Callable[[], bool]) -> Finished:
        batches = training_batches(self.mixer, self.config, self.progress.step, self.processes)
        window = ReportWindow(self.progress)
        if self.config.init is not None and self.progress.step == 0:
            self._validate()  # so that fine-tuning that makes it worse changes nothing
        saved_seconds = self.progress.seconds
        while self._goes_on(should_stop):
            self._timed_step(batches, window)
            if not self.processes.is_first:
                continue
            if window.seconds >= REPORT_SECONDS:
                window = self._report(window)
            if self.config.keep_every and self.progress.step % self.config.keep_every == 0:
                self.checkpoints.keep()
            now = self.progress.seconds
            if now - self.progress.validated_seconds >= 60 * self.config.validate_minutes:
                self._validate()
            if now - saved_seconds >= 60 * self.config.save_minutes:
                self._save()
                saved_seconds = now
        return self._finish(window)

    def _goes_on(self, should_stop: Callable[[], bool]) -> bool:
        """Whether there is another step; the first process decides, any one may be asked to stop.

        The others come here while the first validates or saves, and wait for it.
        """
        is_first = self.processes.is_first
        share, is_over, is_stopped = self.processes.largest(
            self._share_done() if is_first else 0.0,
            is_first and self._has_converged(),
            should_stop(),
        )
        self.share, self.is_complete = share, share >= 1.0 or bool(is_over)
        return not (self.is_complete or is_stopped)

    def _finish(self, window: ReportWindow) -> Finished:
        if self.processes.is_first:
            if window.steps:
                self._report(window)
            if self._has_converged():
                self.tell(StoppedEarly(self.progress.step, self.progress.validations_since_best))
            elif self.is_complete:
                self._save()  # whatever becomes of the validation
                self._validate()
            self._save()
        self.processes.wait()
        best = self.config.best_weights if self.config.best_weights.exists() else None
        finished = Finished(
            self.progress.step,
            self.progress.seconds,
            self.is_complete,
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

    def _has_converged(self) -> bool:
        patience = self.config.patience_validations
        return 0 < patience <= self.progress.validations_since_best

    def _timed_step(self, batches: Iterator[tuple[Tensor, Tensor]], window: ReportWindow) -> None:
        started, processor_started = time.monotonic(), time.process_time()
        clips = next(batches)
        window.waited += time.monotonic() - started
        result = self.steps.step(clips, self.share)
        if result.is_finite:
            window.add(result)
        self.progress.step += 1
        self.progress.seconds += time.monotonic() - started
        self.progress.processor_seconds += time.process_time() - processor_started

    def _report(self, window: ReportWindow) -> ReportWindow:
        share = max(self._share_done(), 1e-9)
        left = self.progress.seconds * (1 / share - 1)
        report = window.report(self.config.batch_size, share, left)
        self._record(report)
        return ReportWindow(self.progress)

    def _validate(self) -> None:
        """Score the averaged weights and keep them if they are the best; others wait for this."""
        if not self.processes.is_first:
            return
        progress = self.progress
        scores = score_model(self.checkpoints.average(), self.items, self.device)
        score = selection_score(scores) if len(scores) == 3 else None
        is_best = score is not None and (progress.best_score is None or score > progress.best_score)
        if is_best:
            progress.best_score = score
            self.checkpoints.save_best(scores)
        progress.validations_since_best = 0 if is_best else progress.validations_since_best + 1
        progress.validated_seconds = progress.seconds
        validated = Validated(progress.step, scores, self.noisy_scores, is_best)
        self._record(validated)

    def _record(self, event: Report | Validated) -> None:
        with self.checkpoints.naming_last_good():
            self.metrics.add(event)
        self.tell(event)

    def _save(self) -> None:
        self.checkpoints.save()
        self.tell(Saved(self.progress.step, self.config.run_state))
