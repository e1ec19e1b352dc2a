"""Speed and memory of `mbs enhance` on files of very different length.

    python benchmarks/long_files.py [--minutes 10 120] [--rate 48000] [--channels 2]

Real noisy speech from examples/noisy, repeated, as FLAC; every file in a process of its own. The
memory is the peak of resident memory of that process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
from noisy_speech import RATE_HZ, joined_examples


def write_long(path: Path, minutes: float, rate_hz: int, channels: int) -> None:
    """The examples over and over; each channel begins at another place of them."""
    once = soxr.resample(joined_examples(), RATE_HZ, rate_hz)
    shifts = range(0, len(once), -(-len(once) // channels))
    turn = np.stack([np.roll(once, -shift) for shift in shifts], axis=1)
    missing = round(60 * minutes * rate_hz)
    with soundfile.SoundFile(path, "w", rate_hz, channels) as file:
        while missing > 0:
            file.write(turn[:missing])
            missing -= len(turn)


def enhance(source: Path, out: Path, model: str, threads: int | None) -> tuple[float, float, float]:
    """Seconds on the wall and of the processor, and the peak of memory in MB."""
    command = [sys.executable, "-m", "mbs_cli", "enhance", source, "-o", out, "--model", model]
    if threads is not None:
        command += ["--threads", threads]
    start = time.perf_counter()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{source}: mbs enhance ended with {process.returncode}")
    seconds = time.perf_counter() - start
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 120.0])
    parser.add_argument("--rate", type=int, default=48_000)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--model", default="mbs-net")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    print("| length | wall | real-time factor | processor seconds per second | peak memory |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "long.flac", Path(folder) / "enhanced.flac"
        for minutes in options.minutes:
            write_long(source, minutes, options.rate, options.channels)
            wall, busy, megabytes = enhance(source, out, options.model, options.threads)
            frames = soundfile.info(source).frames
            if soundfile.info(out).frames != frames:
                sys.exit(f"{minutes:g} min: {soundfile.info(out).frames} frames, not {frames}")
            out.unlink()
            print(
                f"| {minutes:g} min | {wall:.0f} s | {wall / 60 / minutes:.4f} "
                f"| {busy / 60 / minutes:.4f} | {megabytes:.0f} MB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
