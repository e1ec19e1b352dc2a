"""Noises that can be computed: mains hum, hiss from white to brown, crackle.

Arrays are float32 (S,) at 16 kHz of any level; `rng` decides everything random.
"""

from __future__ import annotations

import numpy as np

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples

MAINS_HZ = (50.0, 60.0)
_LOWEST_HZ = 20.0  # coloured noise is flat below: no microphone hears more
_WANDER_HZ = 4.0  # of the loudness, at most


def hum(samples: int, rng: np.random.Generator) -> Samples:
    """Harmonics of the mains frequency that fall off at a random rate, as of a bad ground."""
    fundamental_hz = rng.choice(MAINS_HZ) * rng.uniform(0.99, 1.01)
    order = np.arange(1, rng.integers(3, 60) + 1)
    order = order[order * fundamental_hz < SAMPLE_RATE_HZ / 2]
    amplitudes = rng.uniform(0.3, 1.0, len(order)) * order ** -rng.uniform(0.0, 1.5)
    phases = rng.uniform(0, 2 * np.pi, len(order))
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    angles = 2 * np.pi * fundamental_hz * np.outer(order, seconds) + phases[:, None]
    return np.asarray(amplitudes @ np.sin(angles), dtype=np.float32)


def coloured_noise(samples: int, rng: np.random.Generator) -> Samples:
    """Noise between white (amplitudes alike) and brown (as 1 / f), half of it unsteady.

    The loudness of unsteady noise, such as wind, wanders by about 6 dB, four times a second at
    most.
    """
    white = rng.standard_normal(samples)
    steady = _shaped(white, -rng.uniform(0.0, 1.0))
    if rng.random() < 0.5:
        return steady
    slow = np.fft.rfft(rng.standard_normal(samples))
    slow[np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ) > rng.uniform(0.5, _WANDER_HZ)] = 0.0
    wander = np.fft.irfft(slow, samples)
    wander *= 6.0 / max(float(wander.std()), 1e-12)
    return (steady * 10 ** (wander / 20)).astype(np.float32)


def crackle(samples: int, rng: np.random.Generator) -> Samples:
    """Clicks at random times and of random strength, each ringing on, as of a bad contact."""
    from scipy.signal import lfilter

    clicks_per_second = 10 ** rng.uniform(0.5, 2.3)
    clicks = rng.random(samples) < clicks_per_second / SAMPLE_RATE_HZ
    strengths = rng.choice((-1.0, 1.0), samples) * np.exp(rng.standard_normal(samples))
    radius, angle = rng.uniform(0.5, 0.98), 2 * np.pi * rng.uniform(200, 7000) / SAMPLE_RATE_HZ
    ringing = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], clicks * strengths)
    quiet = 1e-3 * _shaped(rng.standard_normal(samples), -0.5)  # a stretch may hold no click
    return np.asarray(ringing + quiet, dtype=np.float32)


def synthetic_noise(samples: int, rng: np.random.Generator) -> Samples:
    """One of the kinds, or two of them together."""
    kinds = (hum, coloured_noise, crackle)
    chosen = rng.choice(len(kinds), size=rng.integers(1, 3), replace=False)
    noise = np.zeros(samples, np.float32)
    for kind in chosen:
        part = kinds[kind](samples, rng)
        noise += part * np.float32(rng.uniform(0.2, 1.0) / max(float(part.std()), 1e-12))
    return noise


def _shaped(white: np.ndarray, exponent: float) -> Samples:
    """The noise with its amplitudes multiplied by frequency to that power."""
    spectrum = np.fft.rfft(white)
    frequencies = np.fft.rfftfreq(len(white), 1 / SAMPLE_RATE_HZ)
    spectrum *= np.maximum(frequencies, _LOWEST_HZ) ** exponent
    return np.fft.irfft(spectrum, len(white)).astype(np.float32)
