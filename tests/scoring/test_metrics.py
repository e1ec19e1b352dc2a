"""Each metric equals its package or its formula, and is never a number where it has no meaning."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from mbs_cli.errors import UsageError
from mbs_cli.scoring.metrics import METRICS, check_metrics
from mbs_cli.scoring.pesq import pesq_wb
from mbs_cli.scoring.si_sdr import CEILING_DB, si_sdr
from mbs_cli.scoring.signals import NotApplicable
from mbs_cli.scoring.stoi import estoi, stoi

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "en_babble_5db.flac"
Samples = NDArray[np.float32]
INTRUSIVE: list[Callable[[Samples, Samples], float]] = [pesq_wb, stoi, estoi, si_sdr]


@pytest.fixture(scope="module")
def clean() -> Samples:
    return soundfile.read(EXAMPLES / "clean" / NAME, dtype="float32")[0]


@pytest.fixture(scope="module")
def noisy() -> Samples:
    return soundfile.read(EXAMPLES / "noisy" / NAME, dtype="float32")[0]


def test_pesq_equals_the_package(clean: Samples, noisy: Samples) -> None:
    from pesq import pesq

    assert pesq_wb(clean, noisy) == pytest.approx(pesq(16000, clean, noisy, "wb"), abs=1e-6)


@pytest.mark.parametrize(("ours", "extended"), [(stoi, False), (estoi, True)])
def test_stoi_equals_the_package(
    clean: Samples, noisy: Samples, ours: Callable[..., float], extended: bool
) -> None:
    from pystoi import stoi as package_stoi

    expected = package_stoi(clean, noisy, 16000, extended=extended)
    assert ours(clean, noisy) == pytest.approx(expected, abs=1e-6)


def test_si_sdr_equals_the_formula(clean: Samples, noisy: Samples) -> None:
    s, e = (signal.astype(np.float64) - signal.mean(dtype=np.float64) for signal in (clean, noisy))
    target = (e @ s) / (s @ s) * s
    expected = 10 * np.log10(np.sum(target**2) / np.sum((e - target) ** 2))
    assert si_sdr(clean, noisy) == pytest.approx(expected, abs=1e-6)


def test_si_sdr_recovers_a_known_ratio() -> None:
    time = np.arange(16000) / 16000
    speech, noise = np.sin(2 * np.pi * 200 * time), np.cos(2 * np.pi * 330 * time)
    assert si_sdr(speech, 0.5 * (speech + 0.1 * noise)) == pytest.approx(20.0, abs=1e-9)


def test_si_sdr_ignores_gain_and_offset(clean: Samples, noisy: Samples) -> None:
    changed = 0.01 * noisy.astype(np.float64) - 0.2
    assert si_sdr(clean, changed) == pytest.approx(si_sdr(clean, noisy), abs=1e-9)


def test_identical_signals_reach_the_ceilings(clean: Samples) -> None:
    assert pesq_wb(clean, clean) == pytest.approx(4.644, abs=1e-3)
    assert stoi(clean, clean) == pytest.approx(1.0, abs=1e-6)
    assert estoi(clean, clean) == pytest.approx(1.0, abs=1e-6)
    assert si_sdr(clean, clean) == CEILING_DB


def test_noise_lowers_every_metric(clean: Samples, noisy: Samples) -> None:
    for metric in INTRUSIVE:
        assert metric(clean, noisy) < metric(clean, clean)


@pytest.mark.parametrize("metric", INTRUSIVE)
def test_what_has_no_meaning_is_not_applicable(
    clean: Samples, noisy: Samples, metric: Callable[[Samples, Samples], float]
) -> None:
    broken = noisy.copy()
    broken[100] = np.nan
    infinite = noisy.copy()
    infinite[100] = np.inf
    cases = {
        "estimate is silent": (clean, np.zeros_like(clean)),
        "reference is silent": (np.full_like(clean, 0.1), noisy),
        "lengths differ: reference": (clean, noisy[:-1]),
        "estimate has 1 samples that are NaN": (clean, broken),
        "reference has 1 samples that are NaN": (infinite, noisy),
        "not mono": (np.stack([clean, clean]), noisy),
    }
    for reason, (reference, estimate) in cases.items():
        with pytest.raises(NotApplicable, match=reason):
            metric(reference, estimate)


@pytest.mark.parametrize("samples", [0, 1, 100, 3999])
@pytest.mark.parametrize("metric", [pesq_wb, stoi, estoi])
def test_too_short_is_not_applicable(
    clean: Samples, metric: Callable[[Samples, Samples], float], samples: int
) -> None:
    with pytest.raises(NotApplicable, match="too short"):
        metric(clean[20000 : 20000 + samples], clean[20000 : 20000 + samples])


def test_too_little_speech_is_not_a_low_stoi() -> None:
    click = np.zeros(32000, dtype=np.float32)
    click[16000] = 1.0
    with pytest.raises(NotApplicable, match=r"less than 0\.4 s of speech"):
        stoi(click, click)


def test_an_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="There is no metric 'mos'") as caught:
        check_metrics(["stoi", "mos"])
    assert all(key in caught.value.hint for key in METRICS)
