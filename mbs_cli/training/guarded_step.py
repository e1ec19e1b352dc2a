"""Steps that go on where a plain one would end the run: memory that runs out, and bad batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mbs_cli.errors import MbsError
from mbs_cli.memory import is_out_of_memory
from mbs_cli.training.events import MicroBatchHalved, OnEvent
from mbs_cli.training.fitting import Clips, fitting_micro_batch, halved, make_room, memory_error
from mbs_cli.training.loader import clips_of_step
from mbs_cli.training.run_state import Progress
from mbs_cli.training.step import Gradients, Learner, StepResult

_SKIPPED_IN_A_ROW = 20  # non-finite steps that end the run
_FILES_NAMED = 12


class GuardedSteps:
    """Steps of a learner, counted in its progress.

    `files_of(*key)` are the files that a clip is made of, `last_good()` says what there is
    to go on from; both are asked when a run ends.
    """

    def __init__(
        self,
        learner: Learner,
        progress: Progress,
        files_of: Callable[[int, int], list[Path]],
        last_good: Callable[[], str],
        tell: OnEvent,
    ) -> None:
        self.learner, self.progress = learner, progress
        self.files_of, self.last_good, self.tell = files_of, last_good, tell
        self.auto_batch = learner.config.auto_batch
        # Processes wait for each other in a step, so one cannot do it again alone: they agree on
        # what fits beforehand, be it for the first batch or for the longest clip of a later one.
        self.must_rehearse = self.auto_batch and learner.processes.count > 1
        if progress.micro_batch is not None:
            wanted = learner.config.micro_batch or progress.micro_batch
            learner.micro_batch = min(progress.micro_batch, wanted)

    def step(self, clips: Clips, share: float) -> StepResult:
        """Learn from noisy and clean (B, S), at that share of the run.

        Raises OutOfMemory with the options that fit, and MbsError after many steps in a row whose
        loss or gradient was not finite.
        """
        if self.must_rehearse:
            self._agree_on_micro_batch(clips)
        gradients = self._gradients(clips, share)
        while gradients is None:
            self._shrink(clips)
            gradients = self._gradients(clips, share)
        result = self.learner.apply(gradients, self.progress.step, share)
        self._count(result)
        return result

    def _gradients(self, clips: Clips, share: float) -> Gradients | None:
        """None if memory ran out; the attempt's tensors are gone when this has returned."""
        try:
            return self.learner.gradients(*clips, share)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _shrink(self, clips: Clips) -> None:
        make_room(self.learner)
        size = min(self.learner.micro_batch or len(clips[0]), len(clips[0]))
        if size == 1 or not self.auto_batch or self.learner.processes.count > 1:
            raise memory_error(self.learner, clips)
        self._use(halved(size))

    def _agree_on_micro_batch(self, clips: Clips) -> None:
        self.must_rehearse = False
        size = fitting_micro_batch(self.learner, clips)
        if size < min(self.learner.micro_batch or len(clips[0]), len(clips[0])):
            self._use(size)

    def _use(self, micro_batch: int) -> None:
        self.learner.micro_batch = self.progress.micro_batch = micro_batch
        self.tell(MicroBatchHalved(self.progress.step, micro_batch))

    def _count(self, result: StepResult) -> None:
        if result.is_finite:
            self.progress.skipped_in_a_row = 0
            return
        self.progress.skipped_steps += 1
        self.progress.skipped_in_a_row += 1
        if self.progress.skipped_in_a_row >= _SKIPPED_IN_A_ROW:
            raise MbsError(
                f"step {self.progress.step}: loss or gradient was not finite "
                f"{_SKIPPED_IN_A_ROW} times in a row; the last batch was made of "
                f"{self._batch_files()}",
                f"{self.last_good()}; look at these files, or lower --learning-rate",
            )

    def _batch_files(self) -> str:
        own = self.learner.processes
        everyone = (replace(own, rank=rank) for rank in range(own.count))
        shares = (clips_of_step(self.progress.step, self.learner.config, one) for one in everyone)
        keys = [key for share in shares for key in share]
        files = list(dict.fromkeys(file for key in keys for file in self.files_of(*key)))
        named = ", ".join(map(str, files[:_FILES_NAMED]))
        more = len(files) - _FILES_NAMED
        return f"{named} and {more} more" if more > 0 else named
