"""What is compared: one rate, one length, channel by channel, and the lag is known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from mbs_cli.scoring.lag import measure_lag
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.score import score_pair
from mbs_cli.scoring.signals import NotApplicable

EXAMPLES = Path(__file__).parents[2] / "examples"
METRICS = ("stoi", "si_sdr", "snr", "lsd")


@pytest.fixture(scope="module")
def clean() -> NDArray[np.float64]:
    return soundfile.read(EXAMPLES / "clean" / "en_babble_5db.flac")[0]


@pytest.fixture(scope="module")
def noisy() -> NDArray[np.float64]:
    return soundfile.read(EXAMPLES / "noisy" / "en_babble_5db.flac")[0]


@pytest.mark.parametrize("lag", [0, 1, -1, 320, -500, 4000])
def test_the_lag_is_found_under_noise(
    clean: NDArray[np.float64], noisy: NDArray[np.float64], lag: int
) -> None:
    late = np.roll(noisy, lag)
    assert measure_lag(clean, late) == lag
    assert measure_lag(clean, -0.01 * late) == lag


def test_the_lag_of_many_blocks_and_unequal_lengths(clean: NDArray[np.float64]) -> None:
    long = np.tile(clean, 3)
    assert measure_lag(long, np.concatenate([np.zeros(77), long])) == 77
    assert measure_lag(long, long[77:]) == -77


def test_strangers_and_silence_have_no_lag(clean: NDArray[np.float64]) -> None:
    noise = np.random.default_rng(0).normal(size=clean.size)
    assert measure_lag(clean, noise) is None
    assert measure_lag(clean, np.zeros_like(clean)) is None
    assert measure_lag(clean, np.full_like(clean, np.nan)) is None


def test_alignment_takes_out_the_lag_only_when_asked(
    clean: NDArray[np.float64], noisy: NDArray[np.float64]
) -> None:
    late = np.concatenate([np.zeros(320), noisy[:-320]])
    expected = score_pair(ScorePair("", clean[:-320], noisy[:-320]), METRICS)
    aligned = score_pair(ScorePair("", clean, late, align=True), METRICS)
    assert aligned.values == expected.values
    assert (aligned.facts.lag_samples, aligned.facts.is_aligned) == (320, True)
    as_it_is = score_pair(ScorePair("", clean, late), METRICS)
    assert as_it_is.values["si_sdr"] < -10
    assert (as_it_is.facts.lag_samples, as_it_is.facts.is_aligned) == (320, False)
    early = score_pair(ScorePair("", late, noisy, align=True), ("si_sdr",))
    assert early.values == {"si_sdr": 100.0}
    assert early.facts.lag_samples == -320


def test_unequal_lengths_are_compared_only_when_asked(
    clean: NDArray[np.float64], noisy: NDArray[np.float64]
) -> None:
    short = noisy[:-100]
    refused = score_pair(ScorePair("", clean, short), METRICS)
    assert not refused.values
    assert not refused.was_compared
    trimmed = score_pair(ScorePair("", clean, short, trim=True), METRICS)
    assert trimmed.values == score_pair(ScorePair("", clean[:-100], short), METRICS).values
    assert trimmed.facts.trimmed_samples == 100


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled_by_the_one_resampler(
    clean: NDArray[np.float64], noisy: NDArray[np.float64], tmp_path: Path, rate_hz: int
) -> None:
    path = tmp_path / "other.wav"
    estimate = soxr.resample(noisy, 16000, rate_hz)
    soundfile.write(path, estimate, rate_hz, subtype="DOUBLE")
    back = soxr.resample(estimate, rate_hz, 16000, quality="HQ")[: clean.size]
    row = score_pair(ScorePair("", clean, path), METRICS)
    expected = score_pair(ScorePair("", clean[: back.size], back), METRICS)
    assert row.values == pytest.approx(expected.values, abs=1e-6)
    assert row.facts.estimate_rate_hz == rate_hz


def test_channels_are_scored_one_by_one_and_averaged(
    clean: NDArray[np.float64], noisy: NDArray[np.float64], tmp_path: Path
) -> None:
    reference, estimate = tmp_path / "reference.wav", tmp_path / "estimate.wav"
    soundfile.write(reference, np.stack([clean, clean], axis=1), 16000, subtype="DOUBLE")
    half = clean + 0.5 * (noisy - clean)
    soundfile.write(estimate, np.stack([noisy, half], axis=1), 16000, subtype="DOUBLE")
    row = score_pair(ScorePair("", reference, estimate), METRICS)
    one, two = (score_pair(ScorePair("", clean, side), METRICS).values for side in (noisy, half))
    assert row.values == pytest.approx({key: (one[key] + two[key]) / 2 for key in METRICS})
    soundfile.write(estimate, np.stack([noisy, 0 * noisy], axis=1), 16000)
    row = score_pair(ScorePair("", reference, estimate), METRICS)
    assert set(row.reasons.values()) == {"channel 2: estimate is silent"}
    assert row.was_compared


def test_without_a_reference_there_is_a_reason(noisy: NDArray[np.float64]) -> None:
    row = score_pair(ScorePair("", None, noisy), ("stoi", "csig"))
    assert row.reasons == {"stoi": "needs a reference", "csig": "needs a reference"}


def test_arrays_are_mono(noisy: NDArray[np.float64]) -> None:
    with pytest.raises(NotApplicable, match="not mono"):
        ScorePair("", noisy, np.stack([noisy, noisy])).load()


def test_only_what_is_left_over_after_alignment_is_trimmed(clean, noisy):
    late = np.concatenate([np.zeros(100), noisy])
    found = score_pair(ScorePair("", clean, late, trim=True, align=True), METRICS)
    assert (found.facts.lag_samples, found.facts.trimmed_samples) == (100, 0)
    longer = np.concatenate([late, np.zeros(50)])
    found = score_pair(ScorePair("", clean, longer, trim=True, align=True), METRICS)
    assert (found.facts.lag_samples, found.facts.trimmed_samples) == (100, 50)
