"""Many pairs: the same numbers as one by one, whatever happens to a file or to a child process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mbs_cli.scoring.interval import bootstrap_interval
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import iterate_scores, score_pairs
from mbs_cli.scoring.score import PairScore, score_pair
from mbs_cli.scoring.worker import Worker

EXAMPLES = Path(__file__).parents[2] / "examples"
METRICS = ("pesq_wb", "stoi", "si_sdr")


def example_pairs() -> list[ScorePair]:
    clean = sorted((EXAMPLES / "clean").glob("*.flac"))
    return [ScorePair(path.stem, path, EXAMPLES / "noisy" / path.name) for path in clean]


def in_memory(pair: ScorePair) -> ScorePair:
    signals = pair.load()
    assert signals.reference is not None
    return ScorePair(pair.name, signals.reference[0], signals.estimate[0])


class Fatal:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def test_rows_equal_single_scores_in_order_for_paths_and_arrays() -> None:
    paths = example_pairs()
    mixed = [pair if index % 2 else in_memory(pair) for index, pair in enumerate(paths)]
    seen: list[tuple[int, str]] = []
    scores = score_pairs(
        mixed, METRICS, jobs=2, on_scored=lambda n, row: seen.append((n, row.name))
    )
    for row, pair in zip(scores.rows, paths, strict=True):
        assert row.values == pytest.approx(score_pair(pair, METRICS).values, abs=1e-6)
    assert seen == [(index + 1, pair.name) for index, pair in enumerate(paths)]
    assert scores.summary == "8 of 8 scored"


def test_what_cannot_be_scored_is_left_out_of_the_means(tmp_path: Path) -> None:
    good = example_pairs()[0]
    damaged = tmp_path / "damaged.flac"
    damaged.write_bytes(b"not audio")
    stereo, shorter = tmp_path / "stereo.wav", tmp_path / "shorter.wav"
    soundfile.write(stereo, np.zeros((8000, 2)), 16000)
    soundfile.write(shorter, np.zeros(8000), 16000)
    cut = tmp_path / "cut.flac"
    cut.write_bytes(Path(good.reference).read_bytes()[:40_000])
    silence = np.zeros(len(good.load().estimate[0]))
    pairs = [
        good,
        ScorePair("silent", good.reference, silence),
        ScorePair("missing", good.reference, tmp_path / "absent.wav"),
        ScorePair("damaged", damaged, good.estimate),
        ScorePair("stereo", stereo, good.estimate),
        ScorePair("shorter", shorter, good.estimate),
        ScorePair("cut", good.reference, cut),
    ]
    scores = score_pairs(pairs, METRICS, jobs=1)
    assert scores.means() == pytest.approx(score_pair(good, METRICS).values, abs=1e-9)
    assert scores.summary == "1 of 7 scored"
    reasons = {row.name: row.reasons["stoi"] for row in scores.not_scored}
    assert reasons["silent"] == "estimate is silent"
    assert "absent.wav: there is no such file" in reasons["missing"]
    assert "damaged.flac: " in reasons["damaged"]  # in the words of ffprobe where it is installed
    assert reasons["stereo"] == "channels differ: reference 2, estimate 1"
    assert "lengths differ: reference 8000 samples" in reasons["shorter"]
    assert "cut" in reasons["cut"]


def test_nothing_scored_has_no_mean() -> None:
    assert score_pairs([], METRICS).means() == dict.fromkeys(METRICS, None)


def test_what_kills_its_process_costs_only_itself() -> None:
    good = example_pairs()[0]
    fatal = ScorePair("fatal", Fatal(), good.estimate)  # type: ignore[arg-type]
    first, killed, last = score_pairs([good, fatal, good], ("stoi", "si_sdr"), jobs=1).rows
    assert first == last
    assert set(first.values) == {"stoi", "si_sdr"}
    assert set(killed.reasons.values()) == {"the metric ended its process with code 3"}


def test_an_unforeseen_failure_costs_only_its_pair() -> None:
    good = example_pairs()[0]
    odd = ScorePair("odd", good.reference, object())  # type: ignore[arg-type]
    first, failed, last = score_pairs([good, odd, good], ("si_sdr", "snr"), jobs=1).rows
    assert first == last
    assert set(failed.reasons) == {"si_sdr", "snr"}
    assert "failed unexpectedly (AttributeError: " in failed.reasons["snr"]
    assert not failed.was_compared


def test_a_killed_child_is_replaced() -> None:
    pair = example_pairs()[0]
    worker = Worker()
    before = worker.score(pair, ("si_sdr",))
    assert worker._child is not None
    worker._child.stop()
    after = worker.score(pair, ("si_sdr",))
    worker.close()
    assert after == before


def test_pairs_are_read_a_few_at_a_time() -> None:
    drawn = 0

    def endless() -> Iterator[ScorePair]:
        nonlocal drawn
        while True:
            drawn += 1
            yield example_pairs()[0]

    rows = iterate_scores(endless(), ("si_sdr",), jobs=1)
    assert isinstance(next(rows), PairScore)
    rows.close()
    assert drawn < 20


def test_a_script_without_main_guard_scores_without_torch(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    pair = example_pairs()[0]
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from mbs_cli.scoring.pair import ScorePair\n"
        "from mbs_cli.scoring.runner import score_pairs\n"
        f"pair = ScorePair('one', Path({str(pair.reference)!r}), Path({str(pair.estimate)!r}))\n"
        "print(score_pairs([pair, pair], jobs=2).summary, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "2 of 2 scored False\n"


def test_interval_holds_the_mean_and_narrows_with_more_values() -> None:
    values = np.random.default_rng(1).normal(2.0, 0.5, 400)
    low, high = bootstrap_interval(values[:100].tolist())
    assert low < values[:100].mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 10, rel=0.2)
    more_low, more_high = bootstrap_interval(values.tolist())
    assert more_high - more_low < high - low
    assert bootstrap_interval([1.5]) == (1.5, 1.5)
