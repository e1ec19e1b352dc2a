"""The frames of the composite measures: 30 ms, Hann window, 75 % overlap (Hu & Loizou 2008).

S samples, T frames, W = 480 samples per frame. As in the authors' programs the window has no
zero at its ends, and the last full frame is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, Signal

FRAME_SAMPLES = 30 * SAMPLE_RATE_HZ // 1000
HOP_SAMPLES = FRAME_SAMPLES // 4
SHORTEST_SECONDS = (FRAME_SAMPLES + HOP_SAMPLES) / SAMPLE_RATE_HZ  # one frame
TRIMMED_SHARE = 0.95  # the frames that count: the worst 5 % are outliers
_FRAMES_AT_ONCE = 2048  # bounds the memory for long files


def frame_blocks(reference: Signal, estimate: Signal) -> Iterator[tuple[Signal, Signal]]:
    """The windowed frames (T, W) of both signals (S,), T at most 2048 at a time."""
    count = (reference.size - FRAME_SAMPLES) // HOP_SAMPLES
    window = np.hanning(FRAME_SAMPLES + 2)[1:-1]
    clean, enhanced = (_every_frame(signal)[:count] for signal in (reference, estimate))
    for start in range(0, count, _FRAMES_AT_ONCE):
        rows = slice(start, start + _FRAMES_AT_ONCE)
        yield clean[rows] * window, enhanced[rows] * window


def _every_frame(signal: Signal) -> Signal:
    return np.lib.stride_tricks.sliding_window_view(signal, FRAME_SAMPLES)[::HOP_SAMPLES]


def trimmed_mean(distances: NDArray[Any]) -> float:
    """The mean of the smallest 95 % of the frames' distances (T,)."""
    kept = max(1, round(distances.size * TRIMMED_SHARE))
    return float(np.sort(distances)[:kept].mean())
