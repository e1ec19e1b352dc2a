"""The loudness error hears what a listener hears, and follows PESQ."""

from __future__ import annotations

import pytest
import torch
from clips import read_clips
from torch import Tensor

from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.audio.stft import stft
from mbs_cli.training.loudness_loss import loudness_error


def power(samples: Tensor) -> Tensor:
    return stft(samples, FRAMES_16_MS).square().sum(-1)


@pytest.fixture(scope="module")
def clean() -> Tensor:
    return read_clips("clean")


@pytest.fixture(scope="module")
def noise(clean: Tensor) -> Tensor:
    return read_clips("noisy") - clean


def error_of(estimate: Tensor, clean: Tensor) -> Tensor:
    return loudness_error(power(estimate), power(clean), FRAMES_16_MS.frames_per_second)


def test_it_ranks_as_pesq_does(clean: Tensor, noise: Tensor) -> None:
    pesq = pytest.importorskip("pesq").pesq
    shares = (0.0, 0.03, 0.1, 0.3, 1.0)
    errors, scores = [], []
    for share in shares:
        estimate = clean + share * noise
        errors.append(error_of(estimate, clean))
        pairs = zip(clean.numpy(), estimate.numpy(), strict=True)
        scores.append(torch.tensor([pesq(16_000, *pair, "wb") for pair in pairs]))
    assert (torch.stack(errors).diff(dim=0) > 0).all()
    assert (torch.stack(scores).diff(dim=0) < 0).all()
    both = torch.stack((torch.stack(errors).flatten(), torch.stack(scores).flatten()))
    assert torch.corrcoef(both)[0, 1] < -0.8


def test_the_target_and_what_nobody_hears_cost_next_to_nothing(
    clean: Tensor, noise: Tensor
) -> None:
    rms = clean.square().mean().sqrt()
    inaudible = noise / noise.square().mean().sqrt() * rms * 10 ** (-90 / 20)
    heard = error_of(clean + noise, clean)
    assert (error_of(clean, clean) < 1e-3 * heard).all()
    assert (error_of(clean + inaudible, clean) < 0.05 * heard).all()


def test_what_is_added_disturbs_more_than_what_is_missing(clean: Tensor) -> None:
    wanted = power(clean)
    high = torch.arange(257)[:, None] > 96  # above 3 kHz
    added = loudness_error(
        torch.where(high, 30 * wanted, wanted), wanted, FRAMES_16_MS.frames_per_second
    )
    missing = loudness_error(
        torch.where(high, wanted / 30, wanted), wanted, FRAMES_16_MS.frames_per_second
    )
    assert (added > 1.5 * missing).all()


def test_the_level_of_both_does_not_count_and_of_one_does(clean: Tensor, noise: Tensor) -> None:
    noisy = clean + noise
    expected = error_of(noisy, clean)
    torch.testing.assert_close(error_of(noisy / 50, clean / 50), expected, rtol=1e-3, atol=1e-4)
    assert (error_of(clean / 4, clean) > 10 * error_of(clean, clean)).all()


@pytest.mark.parametrize("samples", [1, 512, 9_000])
def test_short_clips_have_an_error(clean: Tensor, noise: Tensor, samples: int) -> None:
    short = clean[:, 4000 : 4000 + samples]
    assert (error_of(short + noise[:, :samples], short) > 0).all()
