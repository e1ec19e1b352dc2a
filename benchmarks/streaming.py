"""How late a stream's output is, and what a block costs: python benchmarks/streaming.py [MODEL].

Delay is counted, not timed: the samples that a stream fed in blocks of 8 ms holds back at most. The
cost of a block is the processor time of `feed` with one thread, the shortest and the median, in
rounds that go through all block lengths by turns.
"""

import statistics
import sys
import time
from pathlib import Path

import soundfile
from rich.console import Console
from rich.table import Table

from mbs_cli.audio.parameters import FRAMES_16_MS, N_FFT
from mbs_cli.device import limit_threads
from mbs_cli.enhancement.latency import waiting_samples
from mbs_cli.enhancement.loading import load_model
from mbs_cli.enhancement.streaming import StreamEnhancer
from mbs_cli.enhancement.treatment import Treatment

NOISY = Path(__file__).resolve().parents[1] / "examples" / "noisy" / "en_babble_5db.flac"
RATES_HZ = (8_000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)
BLOCKS_MS = (8, 16, 32, 64, 256)
ROUNDS = 5


def print_delays() -> None:
    table = Table("rate", "held back", "with --pcs")
    for rate_hz in RATES_HZ:
        held = (
            waiting_samples(rate_hz, rate_hz // 125, FRAMES_16_MS, treatment=Treatment(pcs=pcs))
            for pcs in (False, True)
        )
        table.add_row(f"{rate_hz} Hz", *(f"{1000 * samples / rate_hz:.0f} ms" for samples in held))
    Console().print(table)


def print_costs(model_name: str) -> None:
    limit_threads(1)
    model = load_model(model_name, "cpu")
    speech, _ = soundfile.read(NOISY, dtype="float32")
    times: dict[int, list[float]] = {milliseconds: [] for milliseconds in BLOCKS_MS}
    for round_number in range(ROUNDS + 1):
        for milliseconds in BLOCKS_MS:
            block = 16 * milliseconds
            stream = StreamEnhancer(model)
            for start in range(0, min(len(speech), 100 * block) - block, block):
                begin = time.thread_time()
                stream.feed(speech[start : start + block])
                if round_number and start > N_FFT:  # the first round compiles, nothing is due yet
                    times[milliseconds].append(1000 * (time.thread_time() - begin))
    table = Table("block", "shortest", "median", "load at the median")
    for milliseconds, taken in times.items():
        median = statistics.median(taken)
        figures = (f"{min(taken):.2f} ms", f"{median:.2f} ms", f"{median / milliseconds:.0%}")
        table.add_row(f"{milliseconds} ms", *figures)
    Console().print(table)


if __name__ == "__main__":
    print_delays()
    print_costs(sys.argv[1] if len(sys.argv) > 1 else "mbs-net")
