"""Simulate crowds for `mbs train`: python examples/simulate_crowds.py DATA/train COUNT.

Writes COUNT crowds of 30 s into DATA/train/noise/crowds/: 5 to 40 of the voices in
DATA/train/clean/, who talk in turns at tables of a simulated room (image-source method with ray
tracing) at least 1.5 m from the microphone, with the steps, doors and dishes among the files of
DATA/train/noise/. Needs the package pyroomacoustics. The same COUNT gives the same crowds again;
those that are there already are kept.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pyroomacoustics
import soundfile
from scipy.signal import oaconvolve

RATE_HZ, SECONDS, RMS = 16000, 30, 0.05
TABLES, NEAREST_METRES, FROM_WALL_METRES = 10, 1.5, 0.5
MOST_REFLECTIONS = 6  # by images; ray tracing does the late part
EVENT = re.compile(
    r"step|walk|(?<!in)(?<!out)door|dish|plate|glass|cup|cutlery|knock|kitchen|chair"  # not indoors
)
# Width and length in metres, height, reverberation in seconds: offices, pubs, restaurants, halls.
ROOMS = [
    ((5, 9), (2.5, 3.2), (0.3, 0.6)),
    ((8, 20), (3, 5), (0.5, 0.9)),
    ((15, 35), (5, 10), (0.9, 1.5)),
]


def read(path, rng, seconds):
    """A stretch of a recording, at the level that all others have."""
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE_HZ, f"{path}: expected 16000 Hz"
    start = rng.integers(0, max(1, len(samples) - int(seconds * rate)))
    stretch = samples[start:][: int(seconds * rate)]
    return stretch / max(1e-4, np.sqrt(np.mean(stretch**2)))


def room_with_tables(rng):
    """The responses from every table to the microphone."""
    side, height, reverberation = ROOMS[rng.integers(len(ROOMS))]
    size = np.array([*rng.uniform(*side, 2), rng.uniform(*height)])
    absorption, _ = pyroomacoustics.inverse_sabine(rng.uniform(*reverberation), size)
    room = pyroomacoustics.ShoeBox(
        size,
        fs=RATE_HZ,
        materials=pyroomacoustics.Material(absorption),
        max_order=MOST_REFLECTIONS,
        ray_tracing=True,
        air_absorption=True,
    )
    room.set_ray_tracing(receiver_radius=0.5)  # as wide as a head with shoulders: far fewer rays
    microphone = rng.uniform(FROM_WALL_METRES, size - FROM_WALL_METRES)
    microphone[2] = rng.uniform(0.8, 1.8)
    room.add_microphone(microphone)
    while len(room.sources) < TABLES:
        table = rng.uniform(FROM_WALL_METRES, size - FROM_WALL_METRES)
        table[2] = rng.uniform(1.1, 1.7)
        if np.linalg.norm(table - microphone) >= NEAREST_METRES:
            room.add_source(table)
    room.compute_rir()
    return room.rir[0]


def add(table, start, sound):
    """Lay a sound over what a table says, from that sample on."""
    end = min(len(table), start + len(sound))
    table[start:end] += sound[: end - start]


def crowd(speakers, events, rng):
    """30 s of a crowd."""
    tables = np.zeros((TABLES, RATE_HZ * SECONDS), np.float32)
    for speaker in rng.choice(len(speakers), rng.integers(5, 41)):
        table, loudness = tables[rng.integers(TABLES)], rng.normal(0, 3)
        talkativeness, place = rng.uniform(0.5, 6), rng.integers(0, 4 * RATE_HZ)
        while place < len(table):
            gain_db = loudness + (rng.uniform(4, 10) if rng.random() < 0.1 else 0)
            voice = read(speakers[speaker][rng.integers(len(speakers[speaker]))], rng, 8)
            add(table, place, voice * 10 ** (gain_db / 20))
            place += len(voice) + int(rng.exponential(talkativeness) * RATE_HZ)
    for _ in range(rng.integers(0, 25) if events else 0):
        sound = read(events[rng.integers(len(events))], rng, rng.uniform(0.3, 3))
        table = tables[rng.integers(TABLES)]
        add(table, rng.integers(len(table)), sound * 10 ** (rng.uniform(-12, 3) / 20))
    pairs = zip(tables, room_with_tables(rng), strict=True)
    heard = sum(oaconvolve(table, response)[: tables.shape[1]] for table, response in pairs)
    heard *= RMS / np.sqrt(np.mean(heard**2))
    return heard / max(1.0, np.abs(heard).max() / 0.99)


def main():
    data, count = Path(sys.argv[1]), int(sys.argv[2])
    out = data / "noise" / "crowds"
    out.mkdir(parents=True, exist_ok=True)
    speakers = {}
    for path in sorted(path for path in (data / "clean").rglob("*") if path.is_file()):
        speakers.setdefault(path.parent, []).append(path)
    noises = sorted(path for path in (data / "noise").rglob("*") if path.is_file())
    events = [
        path
        for path in noises
        if out not in path.parents and EVENT.search(str(path.relative_to(data)).lower())
    ]
    for number in range(count):
        path = out / f"crowd_{number:04}.flac"
        if not path.exists():
            rng = np.random.default_rng(number)
            pyroomacoustics.random.seed(number)
            soundfile.write(path, crowd(list(speakers.values()), events, rng), RATE_HZ)
    print(f"{out}: {count} crowds")


if __name__ == "__main__":
    main()
