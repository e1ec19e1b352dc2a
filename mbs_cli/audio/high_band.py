"""How loud the enhanced signal is in its highest bands, as a gain for what lies above 8 kHz.

The model hears nothing above 8 kHz. Speech sounds that reach there (s, f, sh) also fill the bands
just below, so what was taken away from 6.5-8 kHz is taken away from the rest as well.

Letters: C channels, S samples, T frames.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mbs_cli.audio.parameters import FRAMES_8_MS, N_FFT, SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples, silence

LOWEST_HZ = 6_500
_FIRST_BIN = LOWEST_HZ * N_FFT // SAMPLE_RATE_HZ
_WINDOW = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
_SMOOTHING = np.array([1, 2, 3, 2, 1], dtype=np.float64) / 9  # 40 ms, centred
_REACH = len(_SMOOTHING) // 2
_HOP, _FRAMES_PER_SECOND = FRAMES_8_MS.hop, FRAMES_8_MS.frames_per_second


class HighBandGain:
    """Follows a noisy signal and its enhanced form at 16 kHz, in pieces of any length."""

    def __init__(self, channels: int) -> None:
        # Zeros before the start, so that frame t is centred on sample t * _HOP.
        self._pair = silence(2 * channels, N_FFT // 2)
        self._energies = np.zeros((2 * channels, _REACH))  # frames not smoothed yet, and before
        self._gains = np.ones((channels, 0))
        self._first_frame = 0  # the frame of self._gains[:, 0]

    def feed(self, noisy: Samples, enhanced: Samples, last: bool = False) -> None:
        """Take the next samples (C, S) of both; `last` closes the signal."""
        ending = silence(self._pair.shape[0], N_FFT // 2 if last else 0)
        both = np.concatenate([noisy, enhanced])
        self._pair = np.concatenate([self._pair, both, ending], axis=1)
        frames = max(0, (self._pair.shape[1] - N_FFT) // _HOP + 1)
        if frames:
            energies = _high_energies(self._pair[:, : (frames - 1) * _HOP + N_FFT])
            self._energies = np.concatenate([self._energies, energies], axis=1)
            self._pair = self._pair[:, frames * _HOP :]
        if last:
            nothing = np.zeros((len(self._energies), _REACH))
            self._energies = np.concatenate([self._energies, nothing], axis=1)
        self._smooth()

    def _smooth(self) -> None:
        if self._energies.shape[1] < len(_SMOOTHING):
            return
        windows = sliding_window_view(self._energies, len(_SMOOTHING), axis=1)
        noisy, enhanced = np.split(windows @ _SMOOTHING, 2)
        # Where nothing was, nothing was taken away.
        gains = np.sqrt(np.divide(enhanced, noisy, out=np.ones_like(noisy), where=noisy > 0))
        self._gains = np.concatenate([self._gains, np.minimum(gains, 1.0)], axis=1)
        self._energies = self._energies[:, windows.shape[1] :]

    def samples_known(self, rate_hz: int) -> int:
        """Up to which sample at that rate the gain is known, from the start of the signal."""
        last_frame = self._first_frame + self._gains.shape[1] - 1
        return max(0, int(last_frame / _FRAMES_PER_SECOND * rate_hz))

    def at(self, start: int, samples: int, rate_hz: int) -> Samples:
        """The gain (C, samples) from sample `start` on at that rate; earlier ones are forgotten.

        Linear between frames; after the last frame it stays as it was.
        """
        if samples == 0:
            return silence(len(self._gains), 0)
        positions = np.arange(start, start + samples) * (_FRAMES_PER_SECOND / rate_hz)
        known = self._first_frame + np.arange(self._gains.shape[1])
        gains = np.stack([np.interp(positions, known, channel) for channel in self._gains])
        forgotten = min(int(positions[-1]), int(known[-1])) - self._first_frame
        self._gains = self._gains[:, forgotten:]
        self._first_frame += forgotten
        return gains.astype(np.float32)


def _high_energies(signal: Samples) -> NDArray[np.float64]:
    """Energy above `LOWEST_HZ` of each frame: (C, S) -> (C, T)."""
    frames = sliding_window_view(signal, N_FFT, axis=1)[:, ::_HOP] * _WINDOW
    spectrum = np.fft.rfft(frames, axis=-1)[..., _FIRST_BIN:]
    energies: NDArray[np.float64] = (np.abs(spectrum).astype(np.float64) ** 2).sum(axis=-1)
    return energies
