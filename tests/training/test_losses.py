"""Each part of the loss measures what it says, and has a finite slope everywhere."""

from __future__ import annotations

import math

import pytest
import torch
from loss_case import only
from torch import Tensor

from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.audio.stft import stft
from mbs_cli.errors import UsageError
from mbs_cli.training.config import WEIGHTS, LossConfig
from mbs_cli.training.losses import averaged_items, enhancement_loss
from mbs_cli.training.phase_loss import phase_error

PARTS = [name for name in WEIGHTS if name not in ("rating", "metric")]  # take a network


def value_of(name: str, estimate: Tensor, noisy: Tensor, clean: Tensor) -> float:
    return enhancement_loss(estimate, noisy, clean, FRAMES_16_MS, only(name))[0].item()


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("noisy_level", [1.0, 1e-20, 0.0])
@pytest.mark.parametrize("clean_level", [1.0, 1e-20, 0.0])
@pytest.mark.parametrize("estimate_level", [1.0, 1e-20, 0.0])
def test_value_and_slope_are_finite_whatever_is_silent(
    noisy: Tensor,
    clean: Tensor,
    name: str,
    noisy_level: float,
    clean_level: float,
    estimate_level: float,
) -> None:
    estimate = (stft(noisy, FRAMES_16_MS) * estimate_level).requires_grad_()
    loss, _ = enhancement_loss(
        estimate, noisy * noisy_level, clean * clean_level, FRAMES_16_MS, only(name)
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()


@pytest.mark.parametrize("name", PARTS)
def test_a_small_step_down_the_slope_of_a_part_lowers_it(
    noisy: Tensor, clean: Tensor, name: str
) -> None:
    torch.manual_seed(0)
    start = stft(noisy, FRAMES_16_MS) * (0.5 + 0.2 * torch.randn(2, 257, 64, 1))
    estimate = start.clone().requires_grad_()
    loss, _ = enhancement_loss(estimate, noisy, clean, FRAMES_16_MS, only(name))
    loss.backward()
    assert estimate.grad is not None
    step = 1e-3 * start.norm() / estimate.grad.norm()
    after = value_of(name, start - step * estimate.grad, noisy, clean)
    assert after < loss.item()


def test_what_has_no_weight_is_not_computed(noisy: Tensor, clean: Tensor) -> None:
    _, parts = enhancement_loss(
        stft(noisy, FRAMES_16_MS), noisy, clean, FRAMES_16_MS, LossConfig(loudness=0.0, phase=1.0)
    )
    assert list(parts) == ["magnitude", "complex", "snr", "phase", "over_attenuation"]


def test_the_total_is_the_weighted_sum(noisy: Tensor, clean: Tensor) -> None:
    config = LossConfig(time=50.0, over_attenuation=3.0)
    total, parts = enhancement_loss(stft(noisy, FRAMES_16_MS), noisy, clean, FRAMES_16_MS, config)
    assert total.item() == pytest.approx(sum(getattr(config, n) * p for n, p in parts.items()))


def test_pieces_of_a_batch_add_up_to_its_means(noisy: Tensor, clean: Tensor) -> None:
    config = LossConfig(**dict.fromkeys(PARTS, 1.0))
    noisy, clean = torch.cat((noisy, noisy[:1])), torch.cat((clean, torch.zeros(1, 16_000)))
    estimate = 0.5 * stft(noisy, FRAMES_16_MS)
    _, expected = enhancement_loss(estimate, noisy, clean, FRAMES_16_MS, config)
    whole = averaged_items(noisy, clean)
    pieces = [
        enhancement_loss(estimate[part], noisy[part], clean[part], FRAMES_16_MS, config, whole)[1]
        for part in (slice(0, 1), slice(1, 3))
    ]
    for name, value in expected.items():
        total = sum(piece[name].item() for piece in pieces)
        assert total == pytest.approx(value.item(), rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("name", ["magnitude", "complex", "time", "phase", "over_attenuation"])
def test_a_part_is_the_same_at_every_level_and_zero_for_the_target(
    noisy: Tensor, clean: Tensor, name: str
) -> None:
    value = value_of(name, stft(noisy, FRAMES_16_MS), noisy, clean)
    assert value_of(name, stft(noisy, FRAMES_16_MS) / 50, noisy / 50, clean / 50) == pytest.approx(
        value, rel=1e-4
    )
    assert value_of(name, stft(clean, FRAMES_16_MS), noisy, clean) < 1e-3 * value


def test_over_attenuation_is_only_what_is_missing(noisy: Tensor, clean: Tensor) -> None:
    spectrum = stft(clean, FRAMES_16_MS)
    assert value_of("over_attenuation", 2 * spectrum, noisy, clean) == 0.0
    halved = value_of("over_attenuation", 0.5 * spectrum, noisy, clean)
    assert halved == pytest.approx(value_of("magnitude", 0.5 * spectrum, noisy, clean), rel=1e-5)
    assert halved > 1e-3


def test_a_signal_is_consistent_and_a_rotated_spectrum_is_not(noisy: Tensor, clean: Tensor) -> None:
    assert value_of("consistency", stft(noisy, FRAMES_16_MS), noisy, clean) < 1e-6
    torch.manual_seed(0)
    angle = 2 * math.pi * torch.rand(2, 257, 64)
    rotated = torch.view_as_complex(stft(noisy, FRAMES_16_MS)) * torch.polar(
        torch.ones_like(angle), angle
    )
    assert value_of("consistency", torch.view_as_real(rotated), noisy, clean) > 0.05


def test_a_wrong_level_is_an_error_for_snr_and_none_for_si_sdr(
    noisy: Tensor, clean: Tensor
) -> None:
    spectrum = stft(noisy, FRAMES_16_MS)
    louder = {name: value_of(name, 1.5 * spectrum, noisy, clean) for name in ("snr", "si_sdr")}
    assert louder["si_sdr"] == pytest.approx(value_of("si_sdr", spectrum, noisy, clean), abs=1e-3)
    assert louder["snr"] > value_of("snr", spectrum, noisy, clean) + 0.1
    halved = value_of("snr", 0.5 * stft(clean, FRAMES_16_MS), noisy, clean)
    assert halved == pytest.approx(-math.log10(1 / (0.25 + 1e-3)), abs=1e-3)


def published_phase_error(estimate: Tensor, target: Tensor) -> Tensor:
    """The formulas of MP-SENet, on phases."""

    def distance(angle: Tensor) -> Tensor:
        return (angle - 2 * math.pi * torch.round(angle / (2 * math.pi))).abs().mean()

    phase, wanted = (torch.view_as_complex(s).angle() for s in (estimate, target))
    return (
        distance(phase - wanted)
        + distance(phase.diff(dim=1) - wanted.diff(dim=1))
        + distance(phase.diff(dim=2) - wanted.diff(dim=2))
    )


def test_loud_bins_have_the_published_phase_error() -> None:
    torch.manual_seed(0)
    magnitudes = 10 + 90 * torch.rand(2, 2, 257, 40)
    spectra = torch.view_as_real(torch.polar(magnitudes, 20 * torch.rand(2, 2, 257, 40)))
    expected = published_phase_error(*spectra).item()
    assert phase_error(*spectra).item() == pytest.approx(expected, rel=1e-4)


def test_the_phase_error_does_not_reward_attenuation() -> None:
    torch.manual_seed(0)
    target = torch.randn(1, 257, 40, 2)
    estimate = torch.randn(1, 257, 40, 2).requires_grad_()
    (slope,) = torch.autograd.grad(phase_error(estimate, target), estimate)
    along_magnitude = (slope * estimate).sum(-1).abs()
    across = slope.norm(dim=-1) * estimate.norm(dim=-1)
    assert along_magnitude.max() < 1e-4 * across.max()


def test_no_bin_has_a_phase_slope_beyond_its_share() -> None:
    torch.manual_seed(0)
    levels = 10.0 ** torch.linspace(-20, 2, 257)[None, :, None, None]
    estimate = (levels * torch.randn(1, 257, 40, 2)).requires_grad_()
    (slope,) = torch.autograd.grad(phase_error(estimate, torch.randn(1, 257, 40, 2)), estimate)
    assert torch.isfinite(slope).all()
    assert slope.norm(dim=-1).max() * (257 * 40) < 5 * 100  # five differences, 1 / sqrt(1e-4) each


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"magnitude": -1.0}, "--magnitude-weight -1.0"),
        ({"over_attenuation": math.nan}, "--over-attenuation-weight nan"),
        ({"si_sdr": math.inf}, "--si-sdr-weight inf"),
        (dict.fromkeys(PARTS, 0.0) | {"metric": 1.0}, "nothing to learn"),
        ({"metric_start": 1.0}, "--metric-start 1.0"),
        ({"metric_items": 0}, "--metric-items 0"),
    ],
)
def test_weights_that_make_no_sense_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LossConfig(**options)
