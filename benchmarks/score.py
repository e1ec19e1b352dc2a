"""How fast `mbs score` is: two processes against one, and one against a plain loop.

    python benchmarks/score.py [--pairs 100]

The pairs are 5 s of the recordings in examples/, from files. The loop calls `pesq` and `pystoi`
for the four metrics that come from packages, in this one process; the child processes of `mbs`
compute the same four for the comparison with it, and everything for the one among themselves.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile
from pesq import pesq
from pystoi import stoi
from threadpoolctl import threadpool_limits

from mbs_cli.scoring.metrics import REFERENCE_METRICS
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import score_pairs

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RATE_HZ, SECONDS = 16_000, 5
PACKAGE_METRICS = ("pesq_wb", "pesq_nb", "stoi", "estoi")


def write_pairs(folder: Path, count: int) -> list[ScorePair]:
    pairs = []
    names = cycle(sorted(path.name for path in (EXAMPLES / "clean").glob("*.flac")))
    for number, name in enumerate(islice(names, count)):
        targets = []
        for side in ("clean", "noisy"):
            samples, _ = soundfile.read(EXAMPLES / side / name, dtype="float32")
            target = folder / f"{number:03}_{side}.wav"
            soundfile.write(target, np.resize(samples, RATE_HZ * SECONDS), RATE_HZ)
            targets.append(target)
        pairs.append(ScorePair(str(number), *targets))
    return pairs


def plain_loop(pairs: list[ScorePair]) -> None:
    for pair in pairs:
        clean, noisy = (soundfile.read(path)[0] for path in (pair.reference, pair.estimate))
        for mode in ("wb", "nb"):
            pesq(RATE_HZ, clean, noisy, mode)
        for extended in (False, True):
            stoi(clean, noisy, RATE_HZ, extended=extended)


def seconds_of(pairs: list[ScorePair], metrics: tuple[str, ...], jobs: int) -> float:
    start = time.perf_counter()
    scores = score_pairs(pairs, metrics, jobs)
    assert not scores.not_scored, scores.not_scored
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="speed of scoring")
    parser.add_argument("--pairs", type=int, default=100)
    count = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        pairs = write_pairs(Path(folder), count)
        one, two = (seconds_of(pairs, REFERENCE_METRICS, jobs) for jobs in (1, 2))
        same = seconds_of(pairs, PACKAGE_METRICS, jobs=1)
        plain_loop(pairs[:1])  # imports and first-time work
        start = time.perf_counter()
        with threadpool_limits(1):  # as the child processes have it
            plain_loop(pairs)
        loop = time.perf_counter() - start
    print(f"{count} pairs of {SECONDS} s, {len(REFERENCE_METRICS)} metrics")
    print(f"one process: {one:.1f} s ({one / count:.3f} s per pair)")
    print(f"two processes: {two:.1f} s, {one / two:.2f} times as fast")
    print(f"{', '.join(PACKAGE_METRICS)}: {same / count:.3f} s per pair in one process,")
    print(f"  a plain loop over the packages: {loop / count:.3f} s")


if __name__ == "__main__":
    main()
