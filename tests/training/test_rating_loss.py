"""The network of DNSMOS in torch: rates as the package does, and says which way is better."""

from __future__ import annotations

import pytest
import torch
from clips import read_clips
from loss_case import only
from torch import Tensor

from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.audio.stft import stft
from mbs_cli.errors import UsageError
from mbs_cli.training.losses import enhancement_loss
from mbs_cli.training.rating_loss import ListenerRating

SAMPLES_RATED = 144_160  # 9.01 s, the length that the package rates


@pytest.fixture(scope="module")
def network() -> ListenerRating:
    pytest.importorskip("speechmos")
    return ListenerRating()


@pytest.mark.parametrize("kind", ["noisy", "clean"])
def test_ratings_are_those_of_the_package(network: ListenerRating, kind: str) -> None:
    package = pytest.importorskip("speechmos.dnsmos", exc_type=ImportError)
    clip = read_clips(kind)[0]
    signal = clip.repeat(1 + SAMPLES_RATED // len(clip))[:SAMPLES_RATED]
    expected = package.run(signal.numpy(), 16_000)
    points = [expected[f"{name}_mos"] for name in ("sig", "bak", "ovrl")]
    assert network.ratings(signal[None])[0].tolist() == pytest.approx(points, abs=1e-4)


def loss_of(network: ListenerRating, estimate: Tensor, noisy: Tensor, clean: Tensor) -> Tensor:
    networks = {"rating": network.distance}
    return enhancement_loss(
        estimate, noisy, clean, FRAMES_16_MS, only("rating"), networks=networks
    )[0]


def test_clean_speech_has_nothing_to_gain(
    network: ListenerRating, noisy: Tensor, clean: Tensor
) -> None:
    assert loss_of(network, stft(noisy, FRAMES_16_MS), noisy, clean) > 0.3
    assert loss_of(network, stft(clean, FRAMES_16_MS), noisy, clean) < 1e-3


def test_a_small_step_down_the_slope_lowers_it(
    network: ListenerRating, noisy: Tensor, clean: Tensor
) -> None:
    estimate = stft(noisy, FRAMES_16_MS).requires_grad_()
    before = loss_of(network, estimate, noisy, clean)
    (slope,) = torch.autograd.grad(before, estimate)
    step = 1e-2 * slope / slope.norm()
    assert loss_of(network, estimate.detach() - step, noisy, clean) < before


@pytest.mark.parametrize("noisy_level", [1.0, 0.0])
@pytest.mark.parametrize("clean_level", [1.0, 0.0])
def test_value_and_slope_are_finite_whatever_is_silent(
    network: ListenerRating, noisy: Tensor, clean: Tensor, noisy_level: float, clean_level: float
) -> None:
    estimate = (stft(noisy, FRAMES_16_MS) * noisy_level).requires_grad_()
    loss = loss_of(network, estimate, noisy * noisy_level, clean * clean_level)
    (slope,) = torch.autograd.grad(loss, estimate)
    assert torch.isfinite(loss)
    assert torch.isfinite(slope).all()


def test_lacking_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbs_cli.training.rating_loss.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="--rating-weight") as caught:
        ListenerRating()
    assert "pip install speechmos" in str(caught.value.hint)
