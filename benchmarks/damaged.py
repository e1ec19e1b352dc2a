"""Pairs as hard to enhance as rooms and codecs make them, from plain ones.

    python benchmarks/damaged.py --clean DIR --noisy DIR --rooms DIR --out DIR

Writes OUT/codec/{clean,noisy}: the noisy files through Opus or MP3 by turns, at every bit rate that
training knows; and OUT/room/{clean,noisy}: the speech in the rooms of --rooms (impulse responses)
by turns, with the noise as it was, and what reaches the listener within 50 ms as the reference.
The same files give the same output.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples
from mbs_cli.data.augmentation import in_room, through_codec
from mbs_cli.data.mixing import within_full_scale


def read(path: Path) -> Samples:
    """Samples (S,) of a mono file at 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32")
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise SystemExit(f"{path}: expected one channel at {SAMPLE_RATE_HZ} Hz")
    return np.asarray(samples)


def write(path: Path, samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SAMPLE_RATE_HZ)


def pairs(clean: Path, noisy: Path) -> Iterator[tuple[str, Samples, Samples]]:
    """Name, clean and noisy samples of every file."""
    for path in sorted(noisy.glob("*.flac")):
        yield path.name, read(clean / path.name), read(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("clean", "noisy", "rooms", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    rooms = [read(path) for path in sorted(options.rooms.rglob("*.flac"))]
    if not rooms:
        raise SystemExit(f"{options.rooms}: holds no .flac")
    rng = np.random.default_rng(1)
    for number, (name, clean, noisy) in enumerate(pairs(options.clean, options.noisy)):
        coded = through_codec(noisy, is_opus=number % 2 == 0, strength=rng.random())
        write(options.out / "codec" / "clean" / name, clean)
        write(options.out / "codec" / "noisy" / name, coded)
        far, early = in_room(clean, rooms[number % len(rooms)])
        far_noisy, early = within_full_scale(far + noisy - clean, early)
        write(options.out / "room" / "clean" / name, early)
        write(options.out / "room" / "noisy" / name, far_noisy)


if __name__ == "__main__":
    main()
