"""Means over the steps between two reports."""

from __future__ import annotations

from collections import defaultdict

from mbs_cli.training.events import Report
from mbs_cli.training.run_state import Progress
from mbs_cli.training.step import StepResult


class ReportWindow:
    """Sums over the steps since the last report, when `share` of the run was done."""

    def __init__(self, progress: Progress, share: float) -> None:
        self.progress, self.start_share = progress, share
        self.start_step, self.start_seconds = progress.step, progress.seconds
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.steps, self.waited, self.rate = 0, 0.0, 0.0

    @property
    def seconds(self) -> float:
        """How long it has been open."""
        return self.progress.seconds - self.start_seconds

    def add(self, result: StepResult) -> None:
        """One more step, one that was not skipped."""
        self.sums["loss"] += result.loss.item()
        self.sums["gradient_norm"] += result.gradient_norm.item()
        for name, part in result.parts.items():
            self.sums[name] += part.item()
        self.steps += 1
        self.rate = result.learning_rate

    def report(self, batch_size: int, share: float, peak_memory_bytes: int | None) -> Report:
        """The means; `share` of the run is done, and the rest is thought to take as long."""
        means = {name: value / max(self.steps, 1) for name, value in self.sums.items()}
        seconds = max(self.seconds, 1e-9)
        return Report(
            step=self.progress.step,
            loss=means.pop("loss", float("nan")),
            gradient_norm=means.pop("gradient_norm", float("nan")),
            parts=means,
            learning_rate=self.rate,
            clips_per_second=(self.progress.step - self.start_step) * batch_size / seconds,
            data_wait_share=self.waited / seconds,
            seconds=self.progress.seconds,
            processor_seconds=self.progress.processor_seconds,
            peak_memory_bytes=peak_memory_bytes,
            progress=min(share, 1.0),
            seconds_left=seconds * max(1 - share, 0.0) / max(share - self.start_share, 1e-9),
            skipped_steps=self.progress.skipped_steps,
        )
