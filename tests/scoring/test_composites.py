"""CSIG, CBAK, COVL and what they are made of equal a second computation, written from the paper.

The other way round on purpose: one frame, one band and one lag at a time, with scipy's solver.
"""

import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from pesq import pesq
from scipy.linalg import solve_toeplitz, toeplitz

from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.score import score_pair
from mbs_cli.scoring.wss import _BANDWIDTHS_HZ, _CENTRES_HZ

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.name for path in (EXAMPLES / "clean").glob("*.flac"))[:6]
WINDOW = np.array([0.5 * (1 - math.cos(2 * math.pi * n / 481)) for n in range(1, 481)])
Frame = NDArray[np.float64]


def frames(signal: Frame) -> list[Frame]:
    return [signal[120 * t : 120 * t + 480] * WINDOW for t in range((len(signal) - 480) // 120)]


def best_95_percent(distances: list[float]) -> float:
    return float(np.mean(sorted(distances)[: round(0.95 * len(distances))]))


def predictor(frame: Frame) -> tuple[Frame, Frame]:
    correlation = np.array([frame[: 480 - lag] @ frame[lag:] for lag in range(17)])
    coefficients = solve_toeplitz(correlation[:16], correlation[1:])
    return np.concatenate([[1.0], -coefficients]), toeplitz(correlation)


def log_likelihood_ratio(clean: Frame, noisy: Frame) -> float:
    own, matrix = predictor(clean)
    other, _ = predictor(noisy)
    return math.log((other @ matrix @ other) / (own @ matrix @ own))


@cache
def band_weights() -> list[list[float]]:
    bands = []
    for centre_hz, width_hz in zip(_CENTRES_HZ, _BANDWIDTHS_HZ, strict=True):
        centre, width = math.floor(centre_hz / 8000 * 512), width_hz / 8000 * 512
        offset = math.log(70.0) - math.log(width_hz)
        weights = [math.exp(-11 * ((n - centre) / width) ** 2 + offset) for n in range(512)]
        bands.append([w if w > math.exp(-30 / (2 * 2.303)) else 0.0 for w in weights])
    return bands


def band_levels(frame: Frame) -> list[float]:
    power = np.abs(np.fft.fft(frame, 1024)[:512]) ** 2
    return [10 * math.log10(max(float(power @ weights), 1e-10)) for weights in band_weights()]


def slope_weights(levels: list[float], slopes: list[float]) -> list[float]:
    weights = []
    for band, slope in enumerate(slopes):
        place = band
        if slope > 0:
            while place < 24 and slopes[place] > 0:
                place += 1
            peak = levels[place - 1]
        else:
            while place >= 0 and slopes[place] <= 0:
                place -= 1
            peak = levels[place + 1]
        to_maximum = 20 / (20 + max(levels) - levels[band])
        weights.append(to_maximum / (1 + peak - levels[band]))
    return weights


def slope_distance(clean: Frame, noisy: Frame) -> float:
    levels = [band_levels(frame) for frame in (clean, noisy)]
    slopes = [[b - a for a, b in pairwise(one)] for one in levels]
    each = zip(*map(slope_weights, levels, slopes), strict=True)
    weights = [(a + b) / 2 for a, b in each]
    squares = [(a - b) ** 2 for a, b in zip(*slopes, strict=True)]
    return sum(w * s for w, s in zip(weights, squares, strict=True)) / sum(weights)


def limited(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


def segment_snr(clean: Frame, noisy: Frame) -> float:
    noise = float(np.sum((clean - noisy) ** 2)) + 2.0**-52
    return limited(10 * math.log10(float(clean @ clean) / noise + 2.0**-52), -10, 35)


@pytest.mark.parametrize("name", NAMES)
def test_composites_equal_a_second_computation(name: str) -> None:
    two_seconds = slice(24_000, 56_000)
    clean, noisy = (
        soundfile.read(EXAMPLES / folder / name)[0][two_seconds] for folder in ("clean", "noisy")
    )
    pairs = list(zip(frames(clean + 2.0**-52), frames(noisy + 2.0**-52), strict=True))
    llr = best_95_percent([log_likelihood_ratio(*pair) for pair in pairs])
    wss = best_95_percent([slope_distance(*pair) for pair in pairs])
    seg_snr = float(np.mean([segment_snr(*pair) for pair in pairs]))
    pesq_wb = pesq(16000, clean, noisy, "wb")
    expected = {
        "csig": limited(3.093 - 1.029 * llr + 0.603 * pesq_wb - 0.009 * wss, 1, 5),
        "cbak": limited(1.634 + 0.478 * pesq_wb - 0.007 * wss + 0.063 * seg_snr, 1, 5),
        "covl": limited(1.594 + 0.805 * pesq_wb - 0.512 * llr - 0.007 * wss, 1, 5),
    }
    row = score_pair(ScorePair(name, clean, noisy), (*expected, "wss", "seg_snr"))
    assert {key: row.values[key] for key in expected} == pytest.approx(expected, abs=1e-3)
    assert row.values["wss"] == pytest.approx(wss, rel=1e-3)
    assert row.values["seg_snr"] == pytest.approx(seg_snr, abs=1e-3)


def test_llr_on_its_own_is_limited_to_2_per_frame() -> None:
    clean, noisy = (
        soundfile.read(EXAMPLES / folder / NAMES[0])[0][24_000:56_000]
        for folder in ("clean", "noisy")
    )
    pairs = zip(frames(clean), frames(noisy), strict=True)
    expected = best_95_percent([min(2.0, log_likelihood_ratio(*pair)) for pair in pairs])
    row = score_pair(ScorePair("", clean, noisy), ("llr",))
    assert row.values["llr"] == pytest.approx(expected, abs=1e-6)
