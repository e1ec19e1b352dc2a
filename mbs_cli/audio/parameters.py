"""The sampling rate and the framings that models have. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

SAMPLE_RATE_HZ = 16_000
N_FFT = 512  # 32 ms, of every framing
BINS = N_FFT // 2 + 1

FramingName = Literal["8ms", "16ms"]


@dataclass(frozen=True)
class Framing:
    """How a signal is cut into frames of N_FFT samples, and windowed before and after."""

    name: FramingName
    hop: int  # samples from one frame to the next; divides N_FFT
    window: Literal["hann", "root-hann"]  # periodic

    @property
    def frames_per_second(self) -> float:
        """The rate of frames in Hz."""
        return SAMPLE_RATE_HZ / self.hop

    def frame_count(self, samples: int) -> int:
        """How many frames a signal of that many samples has: every sample lies in N_FFT / hop."""
        return -(-samples // self.hop) + 1


# Long frames that overlap by half cost half as much (GTCRN, Rong et al., ICASSP 2024); with the
# square root of Hann's window the windows of analysis and synthesis together add up to 1.
FRAMES_8_MS = Framing("8ms", 128, "hann")
FRAMES_16_MS = Framing("16ms", 256, "root-hann")
FRAMINGS: dict[FramingName, Framing] = {
    framing.name: framing for framing in (FRAMES_8_MS, FRAMES_16_MS)
}
assert tuple(FRAMINGS) == get_args(FramingName)
