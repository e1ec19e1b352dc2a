"""What a run leaves in its folder: complete, and after a resume as if undisturbed."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mbs_cli.data.report import DataReport
from mbs_cli.errors import DataError, MbsError
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.events import (
    Clip,
    Event,
    Remark,
    Report,
    Started,
    Validated,
    event_name,
)
from mbs_cli.training.records.curves import draw_curves
from mbs_cli.training.records.json_log import JsonLog, event_line, plain
from mbs_cli.training.records.metrics_file import FIGURES, MetricsFile, read_series
from mbs_cli.training.records.tensorboard_files import TensorboardFiles
from mbs_cli.training.trainer import train

TRAINING_DOCS = Path(__file__).resolve().parents[2] / "docs" / "training.md"
SCORES = {"pesq_wb": 1.5, "stoi": 0.8, "si_sdr": 5.0}
REPORT = Report(
    step=1,
    loss=2.0,
    parts={"magnitude": 0.1},
    gradient_norm=1.0,
    learning_rate=1e-3,
    clips_per_second=3.0,
    data_wait_share=0.01,
    seconds=10.0,
    processor_seconds=20.0,
    peak_memory_bytes=3_000_000_001,
    progress=0.5,
    seconds_left=10.0,
    skipped_steps=0,
)


def validated(step: int, clips: tuple[Clip, ...] = ()) -> Validated:
    return Validated(
        step=step,
        scores=SCORES,
        noisy_scores=SCORES,
        best_scores=SCORES,
        is_best=True,
        by_snr_db={"-5": SCORES},
        noisy_by_snr_db={"-5": SCORES},
        clips=clips,
    )


@pytest.fixture
def config(config: TrainConfig) -> TrainConfig:
    return replace(config, steps=2, batch_size=1, tensorboard=True)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def stops_after(steps: int) -> Any:
    asked: Iterator[int] = iter(range(100))
    return lambda: next(asked) >= steps


def load_tensorboard(folder: Path) -> Any:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "audio": 0, "images": 0})
    return found.Reload()


def test_a_resumed_run_leaves_the_records_of_an_undisturbed_one(config: TrainConfig) -> None:
    events: list[Event] = []
    train(config, on_event=events.append)
    report = next(event for event in events if isinstance(event, DataReport))
    assert json.loads(config.data_file.read_text()) == plain(report)
    with Image.open(config.curves_file) as picture:
        assert picture.size[0] > 1000
    whole = rows_of(config.metrics_file)

    pieces = replace(config, out=config.out.with_name("pieces"))
    train(pieces, should_stop=stops_after(1))
    with Image.open(pieces.curves_file) as picture:
        assert picture.size[0] > 1000
    # As if the run had gone on to step 9 before it was killed, without another save.
    MetricsFile(pieces.metrics_file, 1).add(replace(REPORT, step=9))
    late = TensorboardFiles(pieces.tensorboard_folder, 1)
    late.add(replace(REPORT, step=9))
    late.close()
    train(pieces, resume=True)
    rows = rows_of(pieces.metrics_file)
    assert [row["step"] for row in rows] == ["1", "2", "2"]
    for name in rows[-1]:
        if name.startswith(("valid_", "noisy_")):
            assert rows[-1][name] == whole[-1][name]
    scalars = load_tensorboard(pieces.tensorboard_folder).Scalars("loss/total")
    assert [point.step for point in scalars] == [1, 2]


def test_tensorboard_holds_figures_sound_and_spectrograms(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 100_000).astype(np.float32)
    broken = np.full(100_000, np.nan, np.float32)
    clips = (Clip("first", sound, sound / 2, sound * 3), Clip("second", sound, sound, broken))
    files = TensorboardFiles(tmp_path, 0)
    files.add(REPORT)
    files.add(validated(4, clips))
    files.add(validated(8, clips))
    files.close()
    found = load_tensorboard(tmp_path)
    assert {"loss/total", "loss/magnitude", "training/peak_memory_bytes"} <= set(
        found.Tags()["scalars"]
    )
    assert [point.step for point in found.Scalars("validation_gain/stoi")] == [4, 8]
    heard = {
        f"{clip}/{side}"
        for clip in ("1_first", "2_second")
        for side in ("noisy", "clean", "enhanced")
    }
    assert set(found.Tags()["images"]) == set(found.Tags()["audio"]) == heard
    assert [item.step for item in found.Audio("1_first/enhanced")] == [4, 8]
    assert [item.step for item in found.Audio("1_first/clean")] == [4]
    assert found.Audio("1_first/noisy")[0].sample_rate == 16_000
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 8 * 300_000


def test_a_name_that_is_not_utf_8_is_written_as_escapes(tmp_path: Path) -> None:
    sound = np.zeros(16_000, np.float32)
    files = TensorboardFiles(tmp_path, 0)
    files.add(validated(4, (Clip("caf\udce9", sound, sound, sound),)))
    files.close()
    assert "1_caf\\udce9/noisy" in load_tensorboard(tmp_path).Tags()["audio"]


def test_a_run_without_tensorboard_says_so_once(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as if it were not installed
    config.curves_file.mkdir(parents=True)  # nor can the picture be written
    (config.curves_file / "file").touch()
    events: list[Event] = []
    finished = train(replace(config, steps=1), on_event=events.append)
    remarks = [event.text for event in events if isinstance(event, Remark)]
    assert finished.complete
    assert len(remarks) == 2
    assert "mbs-cli[tensorboard]" in remarks[0]
    assert "curves.png: cannot be written" in remarks[1]


def test_metrics_that_cannot_be_written_end_the_run_after_saving(config: TrainConfig) -> None:
    names: list[str] = []

    def block(event: Event) -> None:
        names.append(event_name(type(event)))
        if isinstance(event, Report):
            config.metrics_file.unlink()
            config.metrics_file.mkdir()

    # The report that fails is that of the end; a validation and a save follow.
    with pytest.raises(MbsError, match=r"metrics\.csv: cannot be written .*--resume"):
        train(replace(config, steps=1, tensorboard=False), on_event=block)
    assert names[-3:] == ["saved", "finished", "failed"]
    config.metrics_file.rmdir()
    events: list[Event] = []
    train(replace(config, tensorboard=False), resume=True, on_event=events.append)
    started = next(event for event in events if isinstance(event, Started))
    assert started.step == 1
    assert started.best_scores.keys() == SCORES.keys()
    assert [row["step"] for row in rows_of(config.metrics_file)] == ["2", "2"]


def test_a_new_part_of_the_loss_gets_a_column(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    metrics = MetricsFile(path, 0)
    metrics.add(REPORT)
    metrics.add(validated(1))
    metrics.add(replace(REPORT, step=12_345_678, parts={"magnitude": math.nan, "metric": 0.5}))
    header = path.read_text().splitlines()[0].split(",")
    assert header == [
        *FIGURES,
        *("loss_magnitude", "loss_metric"),
        *("valid_pesq_wb", "valid_stoi", "valid_si_sdr"),
        *("noisy_pesq_wb", "noisy_stoi", "noisy_si_sdr"),
    ]
    first, scores, last = rows_of(path)
    assert first["loss_metric"] == scores["loss"] == ""
    assert last["step"] == "12345678"
    assert last["peak_memory_bytes"] == "3000000001"
    assert math.isnan(read_series(path)["loss_magnitude"][1][1])
    MetricsFile(path, 1).add(replace(REPORT, step=2, parts={"magnitude": 1.0, "metric": 2.0}))
    assert [row["step"] for row in rows_of(path)] == ["1", "1", "2"]
    assert path.read_text().splitlines()[0].split(",") == header


def test_a_row_cut_off_is_dropped_and_other_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    MetricsFile(path, 0).add(REPORT)
    with path.open("a") as file:
        file.write("2,0.5")
    MetricsFile(path, 5)
    assert [row["step"] for row in rows_of(path)] == ["1"]
    for text in ("a,b\n1,2\n", "step,loss\n1,many\n", "step\n1,2,3\n", "step\n\0\n"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"metrics\.csv: line \d is not a row of figures"):
            MetricsFile(path, 5)
        assert path.read_text() == text


def test_every_event_is_documented() -> None:
    text = TRAINING_DOCS.read_text(encoding="utf-8")
    for kind in get_args(Event):
        assert f"| `{event_name(kind)}` |" in text
    for name in FIGURES:
        assert f"`{name}`" in text


def test_an_event_as_json_has_no_nan_and_no_sound() -> None:
    clip = Clip("a", *(np.zeros(3, np.float32) for _ in range(3)))
    line = event_line(replace(validated(3, (clip,)), scores={"stoi": math.inf}))
    found = json.loads(line, parse_constant=pytest.fail)
    assert line.endswith("}\n")
    assert found["scores"] == {"stoi": None}
    assert (found["schema"], found["event"], found["step"]) == (1, "validated", 3)
    assert "clips" not in found
    assert plain({1: Path("a"), "b": (np.float32(0.5), np.int64(2), math.nan)}) == {
        "1": "a",
        "b": [0.5, 2, None],
    }


def test_the_log_of_a_resumed_run_has_every_step_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    def run(step: int, *events: Event) -> list[tuple[str, int | None]]:
        log = JsonLog(path)
        for event in (Remark("hello"), Started("small", 1, "cpu", "float32", step), *events):
            log.write(event)
        log.close()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [(line["event"], line.get("step")) for line in lines]

    first = [("remark", None), ("started", 0), ("report", 1)]
    late = replace(REPORT, step=4)
    assert run(0, REPORT, late) == [*first, ("report", 4)]
    with path.open("a") as file:
        file.write('{"event": "rep')  # killed in the middle of a line
    second = [*first, ("remark", None), ("started", 2), ("report", 4)]
    assert run(2, late) == second
    assert run(0, REPORT) == first


@pytest.mark.parametrize("series", [{}, {"loss": [(1, math.nan)]}, {"loss": [(1, 2.0)]}])
def test_curves_are_drawn_of_whatever_there_is(
    tmp_path: Path, series: dict[str, list[tuple[int, float]]]
) -> None:
    draw_curves(series, tmp_path / "curves.png", "a run")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
