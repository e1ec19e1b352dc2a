"""The training loop: mixes, steps, averages, validates, saves; never prints."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from mbs_cli.errors import MbsError, OutOfMemory, UsageError
from mbs_cli.memory import is_out_of_memory
from mbs_cli.models.checkpoint import file_sha256
from mbs_cli.models.kernels.launch import training_kernels_need_compiling
from mbs_cli.models.mamba import has_scan
from mbs_cli.models.precision import dtype_name, emulates_bfloat16
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.environment import is_first_process
from mbs_cli.training.events import (
    Decoding,
    Event,
    Finished,
    OnEvent,
    Remark,
    Saved,
    Scoring,
    Started,
    StoppedEarly,
    Validated,
)
from mbs_cli.training.guarded_step import GuardedSteps
from mbs_cli.training.loader import training_batches
from mbs_cli.training.optimizer import decayed_share
from mbs_cli.training.peak_memory import peak_memory_bytes
from mbs_cli.training.processes import Processes, is_lost_contact, joined_processes
from mbs_cli.training.records.run_records import open_records
from mbs_cli.training.report_window import ReportWindow
from mbs_cli.training.run_folder import Checkpoints, decide_resume, write_description
from mbs_cli.training.run_state import Progress, load_run
from mbs_cli.training.step import Learner
from mbs_cli.training.training_data import open_training_data
from mbs_cli.training.validation import score_model, score_noisy, selection_score

REPORT_SECONDS = 20.0
_FIRST_REPORT_SECONDS = 3.0  # soon after the start, to see that all is well
_WORKER = "DataLoader worker"  # what torch begins with when one of these processes ends
_RATE_JUMP = 2.0  # on resuming, from which on the learning rate warms up anew
_PATIENT_SHARE = 0.5  # of a run: at a high learning rate scores often rest before they rise


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

    Raises DataError for data that lack something, UsageError for options that do not fit,
    CheckpointError for a run that cannot be resumed or saved, OutOfMemory with the options that
    fit, DeviceError for a device that is not there, and MbsError, after saving, for records that
    cannot be written.
    """
    with (
        open_records(config, on_event if is_first_process() else _ignore) as records,
        joined_processes(config.device) as (processes, device),
    ):
        if processes.is_first:
            resume = decide_resume(config, resume, processes.is_restart)
        resume = bool(processes.largest(processes.is_first and resume)[0])
        tell = records.take if processes.is_first else _ignore
        run = _Run(config, resume, tell, processes, device)
        return run.loop(lambda: should_stop() or records.failure is not None)


def _ignore(_: Event) -> None:
    """Tell nobody."""


class _Run:
    """One run from its first or resumed step to its last."""

    def __init__(
        self,
        config: TrainConfig,
        resume: bool,
        tell: OnEvent,
        processes: Processes,
        device: torch.device,
    ) -> None:
        self.config, self.tell = config, tell
        self.processes, self.device = processes, device
        self._check_options()
        with processes.one_before_the_others():
            self.data = open_training_data(config, lambda *count: tell(Decoding(*count)))
        tell(self.data.report)
        torch.manual_seed(config.seed)
        self.learner = Learner(config, device, processes)
        if emulates_bfloat16(self.learner.dtype, device):
            tell(Remark("this CPU has no instructions for bfloat16: --precision float32 is faster"))
        self.progress = load_run(config, self.learner) if resume else self._start()
        self._check_data()
        self._check_rate()
        # Here no thread is starting a process, and workers are forked: what they inherit is known.
        # They mix the first clips while what follows is done.
        self.batches = training_batches(self.data.train, config, self.progress.step, processes)
        self.checkpoints = Checkpoints(config, self.learner, self.progress, self.data)
        last_good = self.checkpoints.last_good
        self.steps = GuardedSteps(self.learner, self.progress, self.data.files_of, last_good, tell)
        self.share = self.progress.share_done(config)
        self.window = ReportWindow(self.progress, self.share)
        self.report_seconds = _FIRST_REPORT_SECONDS
        self.saved_seconds = self.progress.seconds
        if processes.is_first:
            write_description(config, device, processes.count)
            self.noisy_scores = score_noisy(self.data.validation, self._tell_scored)

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

    def _start(self) -> Progress:
        """The weights to begin with are those of `init`, if there is one."""
        progress = Progress()
        if self.config.init is not None:
            progress.init_sha256 = file_sha256(self.config.init)
            taken = self.learner.start_from(self.config.init)
            if self.config.grow:
                self.tell(Remark(taken))
        return progress

    def _check_data(self) -> None:
        """Other data than before are said; scores of other utterances are no match for the best."""
        progress, found = self.progress, self.data.sha256
        if progress.data_sha256 not in (None, found):
            self.tell(Remark("the data are not those of the run so far: the best is chosen anew"))
            progress.best_score, progress.best_scores = None, {}
        progress.data_sha256 = found

    def _check_rate(self) -> None:
        """A run that is given more time than it was to have warms up anew, if the rate had fallen.

        A rate that jumps by a hundred would undo what the last steps have found.
        """
        progress, config = self.progress, self.config
        before, now = (
            decayed_share(share, config) for share in (progress.share, progress.share_done(config))
        )
        if now > _RATE_JUMP * before:
            progress.warm_up_from = progress.step
            self.tell(Remark("a longer run than before: the learning rate warms up anew"))
        self.learner.warm_up_from = progress.warm_up_from

    def loop(self, should_stop: Callable[[], bool]) -> Finished:
        """Step until the end or until asked to stop; validate and save on the way."""
        parameters = sum(parameter.numel() for parameter in self.learner.model.parameters())
        step, best_scores = self.progress.step, self.progress.best_scores
        precision = dtype_name(self.learner.dtype)
        self.tell(
            Started(self.config.model, parameters, str(self.device), precision, step, best_scores)
        )
        try:
            return self._loop(should_stop)
        except (OutOfMemory, RuntimeError, MemoryError) as error:
            if str(error).startswith(_WORKER):
                raise MbsError(
                    f"step {self.progress.step}: a process that mixes clips was ended: {error}",
                    f"lower --workers or free memory; {self.checkpoints.last_good()}",
                ) from error
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
        if self._compiles_kernels():
            self.tell(Remark("the first step on this machine compiles the kernels, about 20 s"))
        is_new = self.progress.step == 0 and self.progress.best_score is None
        is_fine_tuning = self.config.init is not None and is_new
        if self.processes.is_first and is_fine_tuning and not should_stop():
            self._validate()  # so that fine-tuning that makes it worse changes nothing
        while self._goes_on(should_stop):
            self._timed_step()
            if self.processes.is_first:
                self._after_step()
        if self.processes.is_first:
            self._close()
        self.processes.wait()
        best, last = self.config.best_weights, self.config.last_weights
        weights = best if best.exists() else last
        progress = self.progress
        finished = Finished(progress.step, progress.seconds, self.is_complete, weights)
        self.tell(finished)
        return finished

    def _compiles_kernels(self) -> bool:
        is_on_cpu = self.device.type == "cpu"
        return is_on_cpu and has_scan(self.learner.model) and training_kernels_need_compiling()

    def _goes_on(self, should_stop: Callable[[], bool]) -> bool:
        """Whether there is another step; the first process decides, any one may be asked to stop.

        The others come here while the first validates or saves, and wait for it.
        """
        is_first = self.processes.is_first
        self.share, is_over, is_stopped = self.processes.largest(
            self.progress.share_done(self.config) if is_first else 0.0,
            is_first and self._has_converged(),
            should_stop(),
        )
        self.is_complete = self.share >= 1.0 or bool(is_over)
        return not (self.is_complete or is_stopped)

    def _has_converged(self) -> bool:
        patience = self.config.patience_validations
        is_patient = self.progress.share_done(self.config) < _PATIENT_SHARE
        return not is_patient and 0 < patience <= self.progress.validations_since_best

    def _timed_step(self) -> None:
        started, processor_started = time.monotonic(), time.process_time()
        try:
            clips = next(self.batches)
        except (EOFError, ConnectionError) as error:  # in the middle of a clip
            raise RuntimeError(f"{_WORKER} ended: {error!r}") from error
        self.window.waited += time.monotonic() - started
        result = self.steps.step(clips, self.share)
        if result.is_finite:
            self.window.add(result)
        self.progress.step += 1
        self.progress.share = self.share
        self.progress.seconds += time.monotonic() - started
        self.progress.processor_seconds += time.process_time() - processor_started

    def _after_step(self) -> None:
        """Report, keep, validate and save, each when it is time."""
        config, progress = self.config, self.progress
        if self.window.seconds >= self.report_seconds:
            self._report()
        if config.keep_every and progress.step % config.keep_every == 0:
            self.checkpoints.keep()
        if progress.seconds - progress.validated_seconds >= 60 * config.validate_minutes:
            self._validate()
        if progress.seconds - self.saved_seconds >= 60 * config.save_minutes:
            self._save()

    def _close(self) -> None:
        """What is left to do after the last step."""
        if self.window.steps:
            self._report()
        if self._has_converged():
            self.tell(StoppedEarly(self.progress.step, self.progress.validations_since_best))
        self._save()  # whatever becomes of the validation
        if self.is_complete and self.progress.validated_seconds < self.progress.seconds:
            self._validate()

    def _report(self) -> None:
        share = self.progress.share_done(self.config)
        memory_bytes = peak_memory_bytes(self.device)
        self.tell(self.window.report(self.config.batch_size, share, memory_bytes))
        self.window = ReportWindow(self.progress, share)
        self.report_seconds = REPORT_SECONDS

    def _validate(self) -> None:
        """Score the averaged weights, and keep them if they are the best."""
        progress, model = self.progress, self.checkpoints.average()
        found, clips = score_model(model, self.data.validation, self.device, self._tell_scored)
        is_best = self._is_best(found.means)
        progress.validations_since_best = 0 if is_best else progress.validations_since_best + 1
        progress.validated_seconds = progress.seconds
        if is_best:
            progress.best_score = selection_score(found.means)
            progress.best_scores = found.means
            self.checkpoints.save_best(found.means)
        self.tell(
            Validated(
                step=progress.step,
                scores=found.means,
                noisy_scores=self.noisy_scores.means,
                best_scores=progress.best_scores,
                is_best=is_best,
                by_snr_db=found.by_snr_db,
                noisy_by_snr_db=self.noisy_scores.by_snr_db,
                clips=clips,
            )
        )
        self._save()  # a run that goes on from before would take a worse one for the best

    def _is_best(self, means: dict[str, float]) -> bool:
        """By the metrics that there are; a mean over other ones is not compared."""
        best = self.progress.best_score
        if not means or best is None:
            return bool(means)
        return means.keys() == self.progress.best_scores.keys() and selection_score(means) > best

    def _tell_scored(self, done: int, total: int) -> None:
        self.tell(Scoring(done, total))

    def _save(self) -> None:
        self.checkpoints.save()
        self.saved_seconds = self.progress.seconds
        self.tell(Saved(self.progress.step, self.config.run_state))
