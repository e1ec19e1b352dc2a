"""What `mbs train` shows, on a terminal and elsewhere, and its log for programs."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from rich.console import Console

from mbs_cli.commands.train import _preparing
from mbs_cli.commands.train_json_log import log_beside
from mbs_cli.commands.train_live import LiveView
from mbs_cli.commands.train_text import describe
from mbs_cli.errors import UsageError
from mbs_cli.training.events import (
    Event,
    Finished,
    Remark,
    Report,
    Saved,
    Scoring,
    Started,
    Validated,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOISY = {"pesq_wb": 1.97, "stoi": 0.912, "si_sdr": 8.44}
SCORES = {"pesq_wb": 2.31, "stoi": 0.921, "si_sdr": 12.31}
BEST = {"pesq_wb": 2.35, "stoi": 0.923, "si_sdr": 12.53}
REPORT = Report(
    step=1234,
    loss=12.3456,
    parts={"magnitude": 0.0123, "over_attenuation": math.nan},
    gradient_norm=2.34,
    learning_rate=1e-3,
    clips_per_second=6.1,
    data_wait_share=0.01,
    seconds=600.0,
    processor_seconds=1200.0,
    peak_memory_bytes=3 * 2**29,
    progress=0.25,
    seconds_left=1800.0,
    skipped_steps=3,
)
VALIDATED = Validated(1200, SCORES, NOISY, BEST, is_best=False, by_snr_db={}, noisy_by_snr_db={})


def frame(columns: int, *events: Event) -> str:
    view = LiveView()
    for event in events:
        view.take(event)
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_the_live_view_fits_and_shows_everything(columns: int) -> None:
    text = frame(columns, Started("mbs-net", 10, "cpu", "float32", 0), REPORT, VALIDATED)
    assert max(map(len, text.splitlines())) <= columns
    for part in (
        *("12.3456", "magnitude", "over attenuation", "nan", "2.34", "1.00e-03"),
        *("6.1", "1%", "1.5 GiB", "PESQ", "1.97", "2.31", "2.35", "SI-SDR dB", "12.5"),
        *("25%", "0:30:00 left", "nothing saved yet"),
    ):
        assert part in text, part
    assert ("validation at step 1,200" in text.splitlines()[0]) is (columns >= 80)


def test_the_bar_shows_what_is_being_done() -> None:
    assert "starting" in frame(80)
    scoring = Scoring(1, 4)
    assert "25%  scoring held-out utterances: 1 of 4" in frame(80, REPORT, scoring)
    assert "scoring" not in frame(80, REPORT, scoring, VALIDATED)
    saved = Saved(1234, Path("a"))
    stopped = Finished(1234, 1.0, complete=False, best=Path("b"))
    assert "saved at step 1,234; Ctrl-C" in frame(80, REPORT, saved)
    ended = frame(80, REPORT, saved, stopped)
    assert "stopped at step 1,234" in ended
    assert "Ctrl-C" not in ended


def test_lines_name_scores_beside_the_noisy_input() -> None:
    assert describe(VALIDATED) == (
        "step 1200: PESQ 2.31 (noisy 1.97), STOI 0.921 (0.912), SI-SDR 12.3 (8.4)"
    )
    assert describe(replace(VALIDATED, scores={})) == "step 1200: no scores"
    assert "memory unknown, 3 steps skipped, 0:30:00 left" in describe(
        replace(REPORT, peak_memory_bytes=None)
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_cannot_be_written_is_given_up_with_a_remark(tmp_path: Path) -> None:
    shown: list[Event] = []
    with log_beside(shown.append, Path("/dev/full")) as on_event:
        on_event(REPORT)
        on_event(VALIDATED)
    assert [type(event) for event in shown] == [Report, Remark, Validated]
    with (
        pytest.raises(UsageError, match=r"--json-log .*: cannot be written"),
        log_beside(shown.append, tmp_path),
    ):
        pass


def run_on_a_terminal(command: list[object], stdout: Path) -> tuple[int, str]:
    """Exit code and what the terminal got; standard output goes to a file."""
    pty = pytest.importorskip("pty")  # not on Windows
    reading, writing = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    shown = b""
    with (
        stdout.open("wb") as file,
        subprocess.Popen(
            list(map(str, command)), stdout=file, stderr=writing, env=environment
        ) as process,
    ):
        os.close(writing)
        with suppress(OSError):  # which Linux raises once the process has ended
            while piece := os.read(reading, 1 << 16):
                shown += piece
    os.close(reading)
    return process.returncode, shown.decode()


def example_data(root: Path) -> Path:
    for split, clean in zip(
        ("valid", "train"), sorted((EXAMPLES / "clean").glob("*.flac")), strict=False
    ):
        speech, rate_hz = soundfile.read(clean, dtype="float32")
        noisy, _ = soundfile.read(EXAMPLES / "noisy" / clean.name, dtype="float32")
        for kind, samples in (("clean", speech), ("noise", noisy - speech)):
            (root / split / kind).mkdir(parents=True)
            soundfile.write(root / split / kind / "a.wav", samples, rate_hz)
    return root


def test_a_real_run_on_a_terminal_with_its_log_on_standard_output(
    tmp_path: Path,
) -> None:
    command = [
        *(sys.executable, "-m", "mbs_cli", "train", example_data(tmp_path / "data")),
        *("--out", tmp_path / "run", "--model", "mbs-net-small", "--steps", "1"),
        *("--batch-size", "1", "--workers", "0", "--validation-items", "1", "--json-log", "-"),
        *("--cache", tmp_path / "cache", "--no-tensorboard", "--device", "cpu"),
    ]
    exit_code, shown = run_on_a_terminal(command, tmp_path / "log.jsonl")
    assert exit_code == 0, shown
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    names = [event["event"] for event in events]
    assert [name for name in names if name not in {"decoding", "scoring"}] == [
        *("data_report", "started", "report", "saved", "validated", "saved", "finished")
    ]
    assert events[-1]["complete"] is True
    assert "clips per second" in shown
    assert "validation at step 1" in shown
    assert "done at step 1" in shown
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_reader_that_leaves_costs_nothing_of_the_run(tmp_path: Path) -> None:
    data = example_data(tmp_path / "data")
    command = [
        *(sys.executable, "-m", "mbs_cli", "train", data, "--out", tmp_path / "run"),
        *("--model", "mbs-net-small", "--steps", "2", "--batch-size", "1", "--workers", "0"),
        *("--validation-items", "1", "--cache", tmp_path / "cache", "--no-tensorboard"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.close()
        assert process.wait(120) == 0
    assert (tmp_path / "run" / "best.safetensors").exists()


def test_a_signal_before_the_first_step_ends_the_command_at_once() -> None:
    is_stopped = False
    listen = _preparing(lambda _: None, lambda: is_stopped)
    listen(Scoring(1, 2))
    is_stopped = True
    with pytest.raises(KeyboardInterrupt):
        listen(Scoring(2, 2))
    listen(Started("mbs-net", 10, "cpu", "float32", 0))  # from now on the run saves and ends
    listen(Scoring(1, 2))
