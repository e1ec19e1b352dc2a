"""The sampling rate and framing that every model shares. Imports nothing."""

from __future__ import annotations

SAMPLE_RATE_HZ = 16_000
N_FFT = 512  # 32 ms
HOP = 128  # 8 ms
BINS = N_FFT // 2 + 1
FRAMES_PER_SECOND = SAMPLE_RATE_HZ / HOP  # 125
