"""Simulate room responses for `mbs train`: python examples/simulate_rooms.py DATA/train/rir COUNT.

Shoebox rooms of random size, reverberation (0.15 to 0.9 s) and places of mouth and microphone, by
the image-source method with ray tracing. Needs the package pyroomacoustics. The same COUNT gives
the same rooms again.
"""

import sys
from pathlib import Path

import numpy as np
import pyroomacoustics
import soundfile

RATE_HZ = 16000
FROM_WALL_METRES = 0.4
MOST_REFLECTIONS = 12  # by images; ray tracing does the late part

out, count = Path(sys.argv[1]), int(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
for number in range(count):
    rng = np.random.default_rng(number)
    pyroomacoustics.random.seed(number)
    size = rng.uniform([2.5, 2.5, 2.3], [9.0, 7.0, 3.5])
    seconds = rng.uniform(0.15, 0.9)
    try:
        absorption, _ = pyroomacoustics.inverse_sabine(seconds, size)
    except ValueError:  # no wall swallows enough for so short a reverberation
        absorption = 0.95
    room = pyroomacoustics.ShoeBox(
        size,
        fs=RATE_HZ,
        materials=pyroomacoustics.Material(absorption),
        max_order=MOST_REFLECTIONS,
        ray_tracing=True,
        air_absorption=True,
    )
    mouth, microphone = rng.uniform(FROM_WALL_METRES, size - FROM_WALL_METRES, (2, 3))
    room.add_source(mouth)
    room.add_microphone(microphone)
    room.compute_rir()
    response = room.rir[0][0]
    path = out / f"room_{number:04}.flac"
    soundfile.write(path, response / (1.01 * np.abs(response).max()), RATE_HZ)
print(f"{out}: {count} rooms")
