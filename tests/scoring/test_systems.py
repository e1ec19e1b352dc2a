"""Several systems on the same files: means, intervals and differences of the very same rows."""

import csv
import io
import json
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median, stdev

import pytest

from mbs_cli.errors import UsageError
from mbs_cli.scoring.comparison import Comparison
from mbs_cli.scoring.csv_table import csv_text
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import iterate_scores
from mbs_cli.scoring.score import PairScore
from mbs_cli.scoring.summary import Summary
from mbs_cli.scoring.systems import score_systems

EXAMPLES = Path(__file__).parents[2] / "examples"
CLEAN, NOISY = EXAMPLES / "clean", EXAMPLES / "noisy"
METRICS = ("si_sdr", "llr")


@pytest.fixture(scope="module")
def partial_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system that made three files only, each of them perfect, and one nobody asked for."""
    folder = tmp_path_factory.mktemp("systems") / "partial"
    folder.mkdir()
    names = sorted(path.name for path in CLEAN.iterdir())
    for name in names[:3]:
        shutil.copy(CLEAN / name, folder)
    shutil.copy(CLEAN / names[0], folder / "stranger.flac")
    return folder


@pytest.fixture(scope="module")
def comparison(partial_folder: Path) -> Comparison:
    return score_systems(CLEAN, [partial_folder], noisy=NOISY, metrics=METRICS, jobs=1)


def test_every_system_has_a_row_for_every_file(comparison: Comparison) -> None:
    noisy, partial = comparison.systems
    assert [row.name for row in noisy.rows] == [row.name for row in partial.rows]
    assert (noisy.name, noisy.is_noisy, noisy.files, noisy.scored) == ("noisy", True, 8, 8)
    assert (partial.name, partial.is_noisy, partial.files, partial.scored) == (
        *("partial", False, 8, 3),
    )
    assert "no counterpart" in partial.rows[3].reasons["llr"]
    assert [Path(path).name for path in comparison.unmatched] == ["stranger.flac"]
    assert comparison.has_failures
    assert comparison.is_complete


def test_summaries_are_those_of_the_rows(comparison: Comparison) -> None:
    for system in comparison.systems:
        for metric in METRICS:
            values = [row.values[metric] for row in system.rows if metric in row.values]
            summary = system.summaries[metric]
            assert (summary.n, summary.mean) == (len(values), pytest.approx(fmean(values)))
            assert summary.median == median(values)
            assert summary.std == pytest.approx(stdev(values))
            assert summary.low is not None
            assert summary.high is not None
            assert summary.low <= fmean(values) <= summary.high


def test_differences_are_paired_over_the_files_of_both(comparison: Comparison) -> None:
    noisy = comparison.systems[0]
    difference = comparison.difference("partial", "noisy", "si_sdr")
    assert difference is not None
    changes = [100.0 - row.values["si_sdr"] for row in noisy.rows[:3]]
    assert difference.summary == Summary.of(changes)
    assert difference.is_clear
    assert comparison.difference("noisy", "partial", "si_sdr") is None


def test_json_holds_what_the_readme_promises(comparison: Comparison) -> None:
    content = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    noisy, partial = content["systems"]
    assert (noisy["name"], noisy["files"], noisy["scored"]) == ("noisy", 8, 8)
    assert set(noisy["mean"]) == set(METRICS)
    assert partial["mean"]["llr"] == 0.0
    assert noisy["rows"][0]["name"] == "en_babble_5db"
    assert noisy["rows"][0]["lag_samples"] == 0
    assert content["sample_rate_hz"] == 16000
    assert content["resampler"].startswith("soxr")
    assert {"mbs", "pesq", "pystoi", "soxr"} <= set(content["versions"])
    assert content["date"][4] == "-"
    assert (content["complete"], content["options"]) == (True, {"trim": False, "align": False})


def test_csv_has_a_line_per_system_and_file(comparison: Comparison) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_text(comparison))))
    assert len(lines) == 16
    assert float(lines[0]["si_sdr"]) == comparison.systems[0].rows[0].values["si_sdr"]
    assert (lines[-1]["si_sdr"], lines[-1]["system"]) == ("", "partial")
    assert "no counterpart" in lines[-1]["reason"]


def test_an_interrupt_keeps_what_was_scored() -> None:
    def interrupt(done: int, *_: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    part = score_systems(CLEAN, [NOISY, CLEAN], metrics=("si_sdr",), jobs=1, on_scored=interrupt)
    assert not part.is_complete
    assert [system.files for system in part.systems] == [2, 1]
    assert part.systems[1].summaries["si_sdr"].mean == 100.0


def test_a_metric_that_no_file_has_does_not_count_against_the_files(comparison: Comparison) -> None:
    noisy = comparison.systems[0]
    rows = tuple(
        PairScore(row.name, row.values, {"pesq_wb": "the pesq package is not installed"})
        for row in noisy.rows
    )
    summaries = noisy.summaries | {"pesq_wb": Summary.of([])}
    assert type(noisy)("noisy", rows, summaries).scored == 8


def test_metrics_that_need_a_reference_are_refused_without_one() -> None:
    with pytest.raises(UsageError, match="pesq_wb: needs a reference"):
        score_systems(None, [NOISY], metrics=("pesq_wb", "dnsmos_ovrl"))


def test_weights_of_what_is_not_scored_are_refused() -> None:
    known = {NOISY: "00", CLEAN: "11"}
    with pytest.raises(UsageError, match="not among the systems that are scored") as caught:
        score_systems(CLEAN, [NOISY], weights_sha256=known)
    assert str(CLEAN) in caught.value.message
    assert str(NOISY) in caught.value.hint


def test_memory_does_not_grow_with_the_number_of_pairs() -> None:
    """10,000 pairs, and what is held is rows and reasons, a few hundred bytes each."""
    clip = NOISY / "absent.wav"  # what is held must not depend on what the files hold

    def pairs() -> Iterator[ScorePair]:
        for number in range(10_000):
            yield ScorePair(str(number), None, clip)

    tracemalloc.start()
    count = sum(1 for _ in iterate_scores(pairs(), ("si_sdr",), jobs=1))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_000
    assert peak_bytes < 5_000_000
