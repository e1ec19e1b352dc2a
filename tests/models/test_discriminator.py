"""The metric discriminator: its size, its range, and that it is finite on anything."""

from __future__ import annotations

import pytest
import torch

from mbs_cli.models.discriminator import Discriminator


@pytest.fixture(scope="module")
def discriminator() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator()


def test_it_has_as_many_parameters_as_the_published_one(discriminator: Discriminator) -> None:
    # convolutions, their norms, their slopes, two linear layers with a slope between, the sigmoid
    convolutions = 16 * (2 * 16 + 16 * 32 + 32 * 64 + 64 * 128)
    published = convolutions + 2 * 240 + 240 + (128 + 1) * 64 + 64 + (64 + 1) + 1
    count = sum(parameter.numel() for parameter in discriminator.parameters())
    assert count == published == 181_650


def test_each_pair_has_a_score_of_its_own_between_0_and_1(discriminator: Discriminator) -> None:
    target, estimate = torch.rand(2, 3, 257, 63).unbind(0)
    discriminator.eval()
    scores = discriminator(target, estimate)
    assert scores.shape == (3,)
    assert ((scores > 0) & (scores < 1)).all()
    torch.testing.assert_close(discriminator(target[1:2], estimate[1:2]), scores[1:2])
    assert not torch.equal(scores, discriminator(estimate, target))


def test_evaluating_changes_nothing_and_needs_no_random_state(
    discriminator: Discriminator,
) -> None:
    discriminator.eval()
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    random_state = torch.get_rng_state()
    first, second = (discriminator(*torch.ones(2, 1, 257, 32)) for _ in range(2))
    discriminator.train()(*torch.ones(2, 1, 257, 32))
    assert torch.equal(first, second)
    assert torch.equal(random_state, torch.get_rng_state())
    assert before.keys() == discriminator.state_dict().keys()


def test_no_convolution_stretches_more_than_its_norm_allows(discriminator: Discriminator) -> None:
    discriminator.train()
    for _ in range(20):
        discriminator(*torch.rand(2, 1, 257, 32))
    weight = discriminator.convolutions[1][0].weight
    assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("level", [0.0, 1e-3, 1e3])
def test_score_and_slopes_are_finite_on_silence_and_loud(
    discriminator: Discriminator, level: float
) -> None:
    estimate = torch.full((1, 257, 16), level, requires_grad=True)
    discriminator.train()
    score = discriminator(torch.full((1, 257, 16), level), estimate)
    slopes = torch.autograd.grad(score.sum(), [estimate, *discriminator.parameters()])
    assert torch.isfinite(score).all()
    assert all(torch.isfinite(slope).all() for slope in slopes)
