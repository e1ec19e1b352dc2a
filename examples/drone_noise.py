"""Compute the sound of drones for `mbs train`: python examples/drone_noise.py DATA/noise COUNT.

Each recording, 20 s, is a drone of its own: four rotors near one speed that follow its movements,
each with the harmonics of its blades and with air noise that pulses at their rate. The same COUNT
gives the same drones again.
"""

import sys
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16000
SECONDS = 20
RMS = 0.05


def slow(rng, fastest_hz):
    """Noise of unit deviation that changes no faster than that."""
    samples = RATE_HZ * SECONDS
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum[np.fft.rfftfreq(samples, 1 / RATE_HZ) > fastest_hz] = 0
    wave = np.fft.irfft(spectrum, samples)
    return wave / wave.std()


def drone(rng):
    """The four rotors together."""
    samples = RATE_HZ * SECONDS
    blade_hz, brightness = rng.uniform(90, 260), rng.uniform(0.6, 1.4)
    movement, loudness = slow(rng, 0.5), 10 ** (0.1 * slow(rng, 1.0))
    total = np.zeros(samples)
    for _ in range(4):
        speed_hz = blade_hz * (1 + 0.04 * rng.standard_normal())
        speed_hz = speed_hz * (1 + 0.05 * movement + 0.01 * slow(rng, 3.0))
        phase = 2 * np.pi * np.cumsum(speed_hz) / RATE_HZ
        orders = np.arange(1, int(RATE_HZ / 2 / (1.3 * blade_hz)) + 1)
        for order, strength in zip(orders, rng.uniform(0.2, 1, len(orders)), strict=True):
            total += strength * order**-brightness * np.sin(order * phase + rng.uniform(0, 6.28))
        air = np.diff(rng.standard_normal(samples + 1))
        total += rng.uniform(0.05, 0.4) * air * (1 + 0.7 * np.sin(phase))
    return loudness * total


out, count = Path(sys.argv[1]), int(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
for number in range(count):
    sound = drone(np.random.default_rng(number))
    sound *= RMS / np.sqrt(np.mean(sound**2))
    soundfile.write(out / f"drone_{number:03}.flac", sound.clip(-1, 1), RATE_HZ)
