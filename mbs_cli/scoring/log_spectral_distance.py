"""Log-spectral distance: the root mean square difference of two power spectra in dB.

S samples, T frames, F bins. Over the bins of each 32 ms Hann frame (50 % overlap), then the mean
over the frames. Both powers are raised to at least 80 dB below the reference's strongest bin:
what lies deeper is rounding, not sound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable, Signal, check_pair

FRAME_SAMPLES = 512
HOP_SAMPLES = FRAME_SAMPLES // 2
FLOOR_DB = -80.0
SHORTEST_SECONDS = FRAME_SAMPLES / SAMPLE_RATE_HZ
_FRAMES_AT_ONCE = 2048  # bounds the memory for long files


def log_spectral_distance(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """LSD in dB of two signals (S,) at 16 kHz; 0 for identical ones, lower is better.

    Raises:
        NotApplicable: the pair cannot be scored.
    """
    clean, enhanced = check_pair(reference, estimate, SHORTEST_SECONDS)
    starts = range(0, clean.size - FRAME_SAMPLES + 1, HOP_SAMPLES * _FRAMES_AT_ONCE)
    floor = 10.0 ** (FLOOR_DB / 10.0) * max(float(_power(clean, start).max()) for start in starts)
    if floor == 0.0:
        raise NotApplicable("reference is silent but for its last, incomplete frame")
    distances = []
    for start in starts:
        levels = (
            10.0 * np.log10(np.maximum(_power(signal, start), floor))
            for signal in (clean, enhanced)
        )
        difference_db = np.subtract(*levels)
        distances.append(np.sqrt(np.mean(difference_db**2, axis=1)))
    return float(np.concatenate(distances).mean())


def _power(signal: Signal, start: int) -> NDArray[Any]:
    """The power spectra (T, F) of the frames from `start` on, at most 2048 of them."""
    stop = start + HOP_SAMPLES * (_FRAMES_AT_ONCE - 1) + FRAME_SAMPLES
    frames = np.lib.stride_tricks.sliding_window_view(signal[start:stop], FRAME_SAMPLES)
    windowed = frames[::HOP_SAMPLES] * np.hanning(FRAME_SAMPLES + 2)[1:-1]
    power: NDArray[Any] = np.abs(np.fft.rfft(windowed)) ** 2
    return power
