"""Means since the last report, and a time left that forgets how slowly the run began."""

from __future__ import annotations

import pytest
import torch

from mbs_cli.training.report_window import ReportWindow
from mbs_cli.training.run_state import Progress
from mbs_cli.training.step import StepResult


def result(loss: float) -> StepResult:
    value = torch.tensor(loss)
    return StepResult(value, {"magnitude": value / 2}, value * 2, 1e-3, is_finite=True)


def test_a_report_holds_the_means_and_the_speed_of_its_own_steps() -> None:
    progress = Progress(step=10, seconds=500.0)  # most of it went into compiling kernels
    window = ReportWindow(progress, share=0.1)
    for loss in (1.0, 3.0):
        window.add(result(loss))
    window.waited = 1.0
    progress.step, progress.seconds = 30, 520.0
    report = window.report(batch_size=4, share=0.3, peak_memory_bytes=None)
    assert (report.loss, report.parts["magnitude"], report.gradient_norm) == (2.0, 1.0, 4.0)
    assert report.clips_per_second == pytest.approx(4.0)
    assert report.data_wait_share == pytest.approx(0.05)
    assert report.seconds_left == pytest.approx(70.0)


def test_a_report_beyond_the_end_has_no_time_left() -> None:
    progress = Progress()
    window = ReportWindow(progress, share=0.0)
    progress.step, progress.seconds = 1, 10.0
    report = window.report(batch_size=1, share=1.2, peak_memory_bytes=None)
    assert (report.seconds_left, report.progress) == (0.0, 1.0)
