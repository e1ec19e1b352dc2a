"""Weighted spectral slope distance (Klatt, ICASSP 1982) as in Hu & Loizou (2008), section II.

T frames, K = 25 critical bands, W samples per frame. The spectral slope between neighbouring bands
of the two signals is compared; slopes near the spectrum's maximum and near local peaks weigh more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.frames import SHORTEST_SECONDS, frame_blocks, trimmed_mean
from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, check_pair

_CENTRES_HZ = (
    *(50.0, 120.0, 190.0, 260.0, 330.0, 400.0, 470.0, 540.0, 617.372, 703.378, 798.717, 904.128),
    *(1020.38, 1148.30, 1288.72, 1442.54, 1610.70, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97),
    *(2978.04, 3276.17, 3597.63),
)
_BANDWIDTHS_HZ = (
    *(70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 77.3724, 86.0056, 95.3398, 105.411, 116.256),
    *(127.914, 140.423, 153.823, 168.154, 183.457, 199.776, 217.153, 235.631, 255.255, 276.072),
    *(298.126, 321.465, 346.136),
)
_FFT_SAMPLES = 1024
_BINS = _FFT_SAMPLES // 2
_FILTER_FLOOR = float(np.exp(-30.0 / (2.0 * 2.303)))  # the skirts below it are cut off
_ENERGY_FLOOR = 1e-10
_GLOBAL_PEAK_WEIGHT = 20.0  # Klatt's K_max
_LOCAL_PEAK_WEIGHT = 1.0  # and K_locmax


def wss(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """WSS from 0 upwards (about 100 for bad speech) of two signals (S,) at 16 kHz; lower is better.

    Raises:
        NotApplicable: the pair cannot be scored.
    """
    clean, enhanced = check_pair(reference, estimate, SHORTEST_SECONDS)
    filters = _band_filters()
    distances = [
        _distances(_band_levels(clean_frames, filters), _band_levels(enhanced_frames, filters))
        for clean_frames, enhanced_frames in frame_blocks(clean, enhanced)
    ]
    return trimmed_mean(np.concatenate(distances))


def _band_filters() -> NDArray[Any]:
    """The bands' Gaussian weights on the power spectrum, (K, bins)."""
    bins_per_hz = _BINS / (SAMPLE_RATE_HZ / 2)
    centres = np.floor(np.array(_CENTRES_HZ) * bins_per_hz)[:, None]
    widths = (np.array(_BANDWIDTHS_HZ) * bins_per_hz)[:, None]
    gains = widths[0] / widths  # the wider, the flatter
    filters: NDArray[Any] = gains * np.exp(-11.0 * ((np.arange(_BINS) - centres) / widths) ** 2)
    return np.where(filters > _FILTER_FLOOR, filters, 0.0)


def _band_levels(frames: NDArray[Any], filters: NDArray[Any]) -> NDArray[Any]:
    """The energy of each band in dB: (T, W) to (T, K)."""
    power = np.abs(np.fft.rfft(frames, _FFT_SAMPLES)[:, :_BINS]) ** 2
    levels_db: NDArray[Any] = 10.0 * np.log10(np.maximum(power @ filters.T, _ENERGY_FLOOR))
    return levels_db


def _distances(clean_db: NDArray[Any], enhanced_db: NDArray[Any]) -> NDArray[Any]:
    """The distance of each frame: (T, K) twice to (T,)."""
    weights = _weights(clean_db) + _weights(enhanced_db)
    squares = (np.diff(clean_db) - np.diff(enhanced_db)) ** 2
    distances: NDArray[Any] = np.sum(weights * squares, axis=1) / np.sum(weights, axis=1)
    return distances


def _weights(levels_db: NDArray[Any]) -> NDArray[Any]:
    """Klatt's weight of every slope: (T, K) to (T, K - 1)."""
    lower = levels_db[:, :-1]
    to_global = levels_db.max(axis=1, keepdims=True) - lower
    to_local = _local_peaks(levels_db) - lower
    by_global = _GLOBAL_PEAK_WEIGHT / (_GLOBAL_PEAK_WEIGHT + to_global)
    by_local = _LOCAL_PEAK_WEIGHT / (_LOCAL_PEAK_WEIGHT + to_local)
    weights: NDArray[Any] = by_global * by_local
    return weights


def _local_peaks(levels_db: NDArray[Any]) -> NDArray[Any]:
    """The level of the peak next to every slope: (T, K) to (T, K - 1).

    Up a rising slope the authors' programs stop one band before the top; so does this one, since
    their figures are what others compare with.
    """
    slopes = np.diff(levels_db)
    peaks = np.empty_like(slopes)
    above = levels_db[:, slopes.shape[1] - 1]
    for band in range(slopes.shape[1] - 1, -1, -1):  # rising: look to the right
        is_last = band == slopes.shape[1] - 1 or slopes[:, band + 1] <= 0
        above = np.where(is_last, levels_db[:, band], above)
        peaks[:, band] = above
    before = levels_db[:, 0]
    for band in range(slopes.shape[1]):  # falling: look to the left
        is_falling = slopes[:, band] <= 0
        starts = is_falling if band == 0 else is_falling & (slopes[:, band - 1] > 0)
        before = np.where(starts, levels_db[:, band], before)
        peaks[:, band] = np.where(is_falling, before, peaks[:, band])
    return peaks
