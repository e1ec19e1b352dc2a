"""Each metric equals its package or its formula, and is never a number where it has no meaning."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from mbs_cli.errors import UsageError
from mbs_cli.scoring import frames
from mbs_cli.scoring import log_spectral_distance as lsd_module
from mbs_cli.scoring.channel import Channel
from mbs_cli.scoring.llr import llr
from mbs_cli.scoring.log_spectral_distance import log_spectral_distance
from mbs_cli.scoring.metrics import (
    LONE_METRICS,
    METRICS,
    REFERENCE_METRICS,
    Family,
    check_metrics,
)
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.pesq import pesq_nb, pesq_wb
from mbs_cli.scoring.score import score_pair
from mbs_cli.scoring.si_sdr import CEILING_DB, si_sdr
from mbs_cli.scoring.signals import NotApplicable
from mbs_cli.scoring.snr import segmental_snr, snr
from mbs_cli.scoring.stoi import estoi, stoi
from mbs_cli.scoring.wss import wss

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "en_babble_5db.flac"
Samples = NDArray[np.float32]
Measure = Callable[[Samples, Samples], float]
BETTER_ABOVE: list[Measure] = [pesq_wb, pesq_nb, stoi, estoi, si_sdr, snr, segmental_snr]
BETTER_BELOW: list[Measure] = [llr, wss, log_spectral_distance]
INTRUSIVE = BETTER_ABOVE + BETTER_BELOW


@pytest.fixture(scope="module")
def clean() -> Samples:
    return soundfile.read(EXAMPLES / "clean" / NAME, dtype="float32")[0]


@pytest.fixture(scope="module")
def noisy() -> Samples:
    return soundfile.read(EXAMPLES / "noisy" / NAME, dtype="float32")[0]


@pytest.mark.parametrize(("ours", "mode"), [(pesq_wb, "wb"), (pesq_nb, "nb")])
def test_pesq_equals_the_package(clean: Samples, noisy: Samples, ours: Measure, mode: str) -> None:
    from pesq import pesq

    assert ours(clean, noisy) == pytest.approx(pesq(16000, clean, noisy, mode), abs=1e-6)


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
    best = score_pair(ScorePair("same", clean, clean), REFERENCE_METRICS).values
    ceilings = {"pesq_wb": 4.644, "pesq_nb": 4.549, "stoi": 1.0, "estoi": 1.0}
    ceilings |= {"si_sdr": CEILING_DB, "snr": CEILING_DB, "seg_snr": 35.0}
    ceilings |= dict.fromkeys(("csig", "cbak", "covl"), 5.0)
    ceilings |= dict.fromkeys(("llr", "wss", "lsd"), 0.0)
    assert best == pytest.approx(ceilings, abs=1e-3)


@pytest.mark.parametrize("metric", INTRUSIVE)
def test_noise_makes_every_metric_worse(clean: Samples, noisy: Samples, metric: Measure) -> None:
    loss = metric(clean, clean) - metric(clean, noisy)
    assert (loss > 0) is (metric in BETTER_ABOVE)


def test_snr_equals_its_formula_and_sees_the_level(clean: Samples, noisy: Samples) -> None:
    noise = noisy.astype(np.float64) - clean
    expected = 10 * np.log10(np.sum(clean.astype(np.float64) ** 2) / np.sum(noise**2))
    assert snr(clean, noisy) == pytest.approx(expected, abs=1e-6)
    assert snr(clean, 0.5 * clean.astype(np.float64)) == pytest.approx(6.0206, abs=1e-4)


def test_log_spectral_distance_of_a_gain_is_that_gain() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    assert log_spectral_distance(noise, 0.5 * noise) == pytest.approx(6.0206, abs=1e-4)


def test_blocks_of_frames_equal_all_at_once(
    clean: Samples, noisy: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures = (llr, wss, segmental_snr, log_spectral_distance)
    whole = [measure(clean, noisy) for measure in measures]
    for module in (frames, lsd_module):
        monkeypatch.setattr(module, "_FRAMES_AT_ONCE", 100)
    assert [measure(clean, noisy) for measure in measures] == pytest.approx(whole, abs=1e-9)


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
        "reference has samples as large as": (1e160 * clean.astype(np.float64), noisy),
        "estimate has samples as large as": (clean, 1e160 * noisy.astype(np.float64)),
    }
    for reason, (reference, estimate) in cases.items():
        with pytest.raises(NotApplicable, match=reason):
            metric(reference, estimate)


@pytest.mark.parametrize("samples", [0, 1, 100, 3999])
@pytest.mark.parametrize("metric", [pesq_wb, pesq_nb, stoi, estoi])
def test_too_short_is_not_applicable(
    clean: Samples, metric: Callable[[Samples, Samples], float], samples: int
) -> None:
    with pytest.raises(NotApplicable, match="too short"):
        metric(clean[20000 : 20000 + samples], clean[20000 : 20000 + samples])


def test_sound_in_the_last_incomplete_frame_alone_has_no_spectral_distance(noisy: Samples) -> None:
    reference = np.zeros(1000)
    reference[900:] = noisy[20000:20100]
    with pytest.raises(NotApplicable, match="silent but for its last, incomplete frame"):
        log_spectral_distance(reference, noisy[20000:21000])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_no_value(noisy: Samples, value: float) -> None:
    with pytest.raises(NotApplicable, match="not a finite number"):
        Channel(noisy, noisy).once(lambda *_: value)
    lone = Family((METRICS["stoi"],), lambda _: (value,), needs_reference=False)
    with pytest.raises(NotApplicable, match="not a finite number"):
        lone.compute(Channel(None, noisy))


@pytest.mark.parametrize("samples", [1, 7999])
def test_dnsmos_of_practically_no_sound_is_not_applicable(noisy: Samples, samples: int) -> None:
    row = score_pair(ScorePair("", None, noisy[20000 : 20000 + samples]), LONE_METRICS)
    assert all("too short" in reason for reason in row.reasons.values())
    assert set(row.reasons) == set(LONE_METRICS)


def test_an_unforeseen_failure_costs_its_family_only(
    clean: Samples, noisy: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise OSError("no such model")

    monkeypatch.setattr("mbs_cli.scoring.dnsmos.import_module", fail)
    row = score_pair(ScorePair("", clean, noisy), ("si_sdr", *LONE_METRICS))
    assert set(row.values) == {"si_sdr"}
    assert row.reasons["dnsmos_sig"] == "failed unexpectedly (OSError: no such model)"


def test_too_little_speech_is_not_a_low_stoi() -> None:
    click = np.zeros(32000, dtype=np.float32)
    click[16000] = 1.0
    with pytest.raises(NotApplicable, match=r"less than 0\.4 s of speech"):
        stoi(click, click)


def test_more_utterances_than_pesq_can_hold_are_not_a_number(clean: Samples) -> None:
    """The package's table overruns silently at 51 and ends the process somewhere above."""
    speech = np.concatenate([clean[16000:24000], np.zeros(9600, dtype=np.float32)])
    many = np.tile(speech, 51)
    with pytest.raises(NotApplicable, match="51 utterances, and its table holds 50"):
        pesq_wb(many, many)
    with pytest.raises(NotApplicable, match="51 utterances, and its table holds 50"):
        pesq_nb(many, many)


def test_a_composite_gives_the_reason_of_what_it_needs(clean: Samples) -> None:
    short = ScorePair("short", clean[20000:22000], clean[20000:22000])
    row = score_pair(short, ("covl", "llr"))
    assert "too short" in row.reasons["covl"]
    assert row.values == {"llr": 0.0}


def test_a_missing_package_costs_only_its_columns(
    clean: Samples, noisy: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("pesq", "speechmos.dnsmos"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    row = score_pair(ScorePair("", clean, noisy), tuple(METRICS))
    lacking = {"pesq_wb", "pesq_nb", "csig", "cbak", "covl"}
    assert set(row.reasons) == lacking | {key for key in METRICS if key.startswith("dnsmos_")}
    assert "pip install pesq" in row.reasons["covl"]
    assert "pip install speechmos" in row.reasons["dnsmos_sig"]
    assert set(row.values) == set(METRICS) - set(row.reasons)


def test_dnsmos_equals_the_package(noisy: Samples) -> None:
    package = pytest.importorskip("speechmos.dnsmos", exc_type=ImportError)
    expected = package.run(noisy.astype(np.float64), 16000)
    row = score_pair(ScorePair("", None, noisy), LONE_METRICS)
    assert row.values == pytest.approx(
        {f"dnsmos_{key}": expected[f"{key}_mos"] for key in ("sig", "bak", "ovrl", "p808")},
        abs=1e-6,
    )


def test_an_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="There is no metric 'mos'") as caught:
        check_metrics(["stoi", "mos"])
    assert all(key in caught.value.hint for key in METRICS)
