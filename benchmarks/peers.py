"""Speed and memory of `mbs` beside other denoisers, in one run: one thread, by turns.

    python benchmarks/peers.py --python PEERS/bin/python [--seconds 60 600] [--rounds 3]

PEERS is a virtual environment with soundfile and what is to be compared (`peer_systems.py`); what
it lacks is left out. Every system gets the same speech at the rate that it works at, in a process
of its own, and is timed once it has warmed up: processor seconds per second of speech, the least of
the rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from noisy_speech import noisy_speech
from peer_systems import PEERS, Denoise

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
WARM_UP_SECONDS = 5
MBS = "mbs "


def mbs(form: str) -> Denoise:
    """A preset, perhaps with other fields (NAME,FIELD=VALUE,...), as `mbs enhance` runs it on one
    channel; untrained, which takes as long.
    """
    from mbs_cli.device import limit_threads
    from mbs_cli.enhancement.array import enhance_array
    from mbs_cli.models.config import PRESETS, with_switches
    from mbs_cli.models.registry import build_model

    limit_threads(1)
    preset, *switches = form.split(",")
    config = with_switches(PRESETS[preset], switches)
    model = build_model(config).eval().requires_grad_(requires_grad=False)
    return lambda samples: enhance_array(samples, 16_000, model=model)


def child(system: str, speech: Path) -> None:
    """Print processor seconds, and the peak of memory in MB, of one system in this process."""
    denoise = mbs(system.removeprefix(MBS)) if system.startswith(MBS) else PEERS[system].load()
    samples, rate_hz = soundfile.read(speech, dtype="float32")
    denoise(samples[: WARM_UP_SECONDS * rate_hz])
    start = time.process_time()
    denoise(samples)
    taken = time.process_time() - start
    print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def write_speech(folder: Path, seconds: float, rate_hz: int) -> Path:
    """Real noisy speech, repeated; at 48 kHz every sample thrice, as only time matters here."""
    samples = noisy_speech(seconds)
    path = folder / f"{seconds:g}s_{rate_hz}.wav"
    soundfile.write(path, np.repeat(samples, rate_hz // 16_000), rate_hz)
    return path


def measure(python: Path, system: str, speech: Path) -> tuple[float, float] | None:
    """Processor seconds and megabytes; None where the system cannot run."""
    interpreter = sys.executable if system.startswith(MBS) else python
    command = [interpreter, __file__, "--system", system, "--speech", speech]
    done = subprocess.run(
        [*map(str, command)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | dict.fromkeys(THREADS, "1"),
    )
    if done.returncode:
        print(f"{system}: left out ({done.stderr.strip().splitlines()[-1]})", file=sys.stderr)
        return None
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def compare(options: argparse.Namespace, folder: Path, systems: dict[str, int]) -> None:
    """A table row for each system: real-time factor and memory at every length."""
    lengths = options.seconds
    rows: dict[str, list[str]] = {system: [] for system in systems}
    for seconds in lengths:
        found: dict[str, list[tuple[float, float]]] = {system: [] for system in rows}
        for _ in range(options.rounds):
            for system in list(found):
                speech = write_speech(folder, seconds, systems[system])
                result = measure(options.python, system, speech)
                if result is None:
                    del found[system], rows[system]
                else:
                    found[system].append(result)
        for system, results in found.items():
            factor = min(taken for taken, _ in results) / seconds
            memory = max(megabytes for _, megabytes in results)
            rows[system].append(f"{factor:.4f} | {memory:.0f}")
    heads = " | ".join(f"{seconds:g} s | memory MB" for seconds in lengths)
    print(f"| system, one thread | {heads} |\n|---{'|---|---' * len(lengths)}|")
    for system, cells in rows.items():
        title = PEERS[system].title if system in PEERS else system
        print(f"| {title} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 600.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--presets", nargs="*", default=["mbs-net", "mbs-net-small"])
    parser.add_argument("--system", help=argparse.SUPPRESS)
    parser.add_argument("--speech", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.system:
        child(options.system, options.speech)
        return
    systems = {f"{MBS}{preset}": 16_000 for preset in options.presets}
    systems |= {name: peer.rate_hz for name, peer in PEERS.items()}
    with tempfile.TemporaryDirectory() as folder:
        compare(options, Path(folder), systems)


if __name__ == "__main__":
    main()
