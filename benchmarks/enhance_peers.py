"""What other denoisers make of a folder of noisy speech, to be scored beside the shipped models.

    PEERS/bin/python benchmarks/enhance_peers.py --noisy SET/noisy --out OUT
    mbs score SET/clean OUT/* --metrics all --csv SET/peers.csv
    python benchmarks/results.py --set NAME=SET --out RESULTS

PEERS is a virtual environment with soundfile, soxr and what is to be compared
(`peer_systems.py`); what it lacks is left out. Outputs are shifted by each system's constant delay.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr
from peer_systems import PEERS, Denoise, Peer, Samples

TAIL_SECONDS = 0.5  # of silence: more than any system is late or keeps to itself at the end


def enhance(samples: Samples, rate_hz: int, peer: Peer, denoise: Denoise) -> Samples:
    """As many samples at the same rate, in time with the input."""
    longer = np.pad(samples, (0, int(TAIL_SECONDS * rate_hz)))
    found = denoise(soxr.resample(longer, rate_hz, peer.rate_hz))[peer.delay_samples :]
    return soxr.resample(found, peer.rate_hz, rate_hz)[: len(samples)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--noisy", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--systems", nargs="+", choices=PEERS, default=list(PEERS))
    options = parser.parse_args()
    for name in options.systems:
        try:
            denoise = PEERS[name].load()
        except ImportError as error:
            print(f"{name}: left out ({error})", file=sys.stderr)
            continue
        (options.out / name).mkdir(parents=True, exist_ok=True)
        for path in sorted(options.noisy.iterdir()):
            samples, rate_hz = soundfile.read(path, dtype="float32")
            enhanced = enhance(samples, rate_hz, PEERS[name], denoise)
            soundfile.write(options.out / name / f"{path.stem}.flac", enhanced, rate_hz)


if __name__ == "__main__":
    main()
