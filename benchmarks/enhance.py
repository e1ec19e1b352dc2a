"""Speed and memory of `mbs enhance`: the model alone, one short file, many, one long file.

    python benchmarks/enhance.py [--model NAME_OR_PATH] [--long-minutes 60] [--files 1000]

Real speech from examples/noisy, repeated to the length needed. The model alone is timed once
started, on two threads; the files go through the command as whole processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from noisy_speech import RATE_HZ, noisy_speech

from mbs_cli.device import limit_threads
from mbs_cli.enhancement.files import enhance_paths
from mbs_cli.enhancement.loading import load_model
from mbs_cli.enhancement.streaming import StreamEnhancer

ROUNDS = 5
_BLOCK = 2 * RATE_HZ  # what `mbs enhance` feeds at a time on a CPU


def real_time_factor(model_name: str, seconds: float = 60.0) -> float:
    """Of the stream, STFT included, fed as the command does; median over rounds after a warm-up."""
    limit_threads(2)
    model = load_model(model_name, "cpu")
    blocks = np.split(
        noisy_speech(seconds)[None], range(_BLOCK, round(seconds * RATE_HZ), _BLOCK), axis=1
    )
    times = []
    for _ in range(ROUNDS + 1):
        enhancer = StreamEnhancer(model)
        start = time.perf_counter()
        for block in blocks:
            enhancer.feed(block)
        enhancer.flush()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) / seconds


def run_command(
    model_name: str, source: Path, out: Path, environment: dict[str, str] | None = None
) -> tuple[float, str]:
    """Seconds of the whole process, and what it said on stderr."""
    command = [sys.executable, "-m", "mbs_cli", "enhance", source, "-o", out, "--overwrite"]
    start = time.perf_counter()
    done = subprocess.run(
        [*map(str, command), "--model", model_name],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    return time.perf_counter() - start, done.stderr


def many_against_one(model_name: str, folder: Path, count: int, seconds: float = 5.0) -> float:
    """Speed of `count` files, as a share of the speed of one file of the same length.

    In processor seconds of one process, by turns, after a warm-up; the fastest of each.
    """
    model = load_model(model_name, "cpu")
    samples = noisy_speech(count * seconds)
    (folder / "many").mkdir()
    for number, piece in enumerate(np.split(samples, count)):
        soundfile.write(folder / "many" / f"{number:04}.wav", piece, RATE_HZ)
    soundfile.write(folder / "one.wav", samples, RATE_HZ)
    times: dict[Path, list[float]] = {folder / "many": [], folder / "one.wav": []}
    for _ in range(ROUNDS):
        for source, taken in times.items():
            start = time.process_time()
            enhance_paths([source], folder / "out", model=model, device="cpu", overwrite=True)
            taken.append(time.process_time() - start)
    many, one = (min(taken[1:]) for taken in times.values())
    return one / many


def finished_files(folder: Path, count: int = 100_000) -> tuple[float, float]:
    """Seconds, and processor seconds, of a run over that many files whose outputs are there."""
    for number in range(count):
        for side in ("in", "out"):
            place = folder / "done" / side / f"{number // 1_000:03}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:06}.wav").touch()
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["-m", "mbs_cli", "enhance", folder / "done/in", "-o", folder / "done/out"]
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mbs-net")
    parser.add_argument("--long-minutes", type=float, default=60.0)
    parser.add_argument("--files", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        short, long, out = (Path(folder) / name for name in ("short.wav", "long.wav", "out"))
        soundfile.write(short, noisy_speech(5.0), RATE_HZ)
        cold, said = run_command(
            options.model, short, out, {"NUMBA_CACHE_DIR": str(Path(folder) / "kernels")}
        )
        print(f"5 s file, first run ever: {cold:.1f} s, said once: {'compiling' in said}")
        times = [run_command(options.model, short, out)[0] for _ in range(ROUNDS + 1)][1:]
        print(f"5 s file, whole process: {statistics.median(times):.2f} s (median of {ROUNDS})")
        factor = real_time_factor(options.model)
        print(f"60 s, two threads, once started: real-time factor {factor:.4f}")
        share = many_against_one(options.model, Path(folder), options.files)
        print(f"{options.files} files of 5 s: {share:.2f} of the speed of one file as long")
        wall, busy = finished_files(Path(folder))
        print(f"100,000 files done before: {wall:.1f} s, {busy:.1f} s of them busy")
        soundfile.write(long, noisy_speech(60 * options.long_minutes), RATE_HZ)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        seconds, _ = run_command(options.model, long, out)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        note = "" if peak > before else " at most"
        print(
            f"{options.long_minutes:g} min file: {seconds:.0f} s, "
            f"real-time factor {seconds / 60 / options.long_minutes:.4f}, "
            f"peak memory{note} {peak / 1024:.0f} MB"
        )


if __name__ == "__main__":
    main()
