"""Means over the steps between two reports."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from mbs_cli.training.events import Report
from mbs_cli.training.run_state import Progress
from mbs_cli.training.step import StepResult


@dataclass
class ReportWindow:
    """Sums over the steps since the last report."""

    progress: Progress

    def __post_init__(self) -> None:
        self.start_step, self.start_seconds = self.progress.step, self.progress.seconds
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

    def report(self, batch_size: int, share: float, seconds_left: float) -> Report:
        """The means; `share` of the run is done."""
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
            progress=min(share, 1.0),
            seconds_left=seconds_left,
            skipped_steps=self.progress.skipped_steps,
        )
