"""The fused convolution equals the plain one, in value and in gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mbs_cli.models.convolution import causal_conv_silu, plain_conv_silu


def make_inputs(steps: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(steps)
    shapes = [(4, steps, 9), (4, 9), (9,), (4, 3, 9)]
    return [3 * torch.randn(shape, generator=rng) for shape in shapes]


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 50])
def test_equal_to_plain_torch(steps: int) -> None:
    def run(function, dtype: torch.dtype) -> list[Tensor]:
        leaves = [tensor.to(dtype).detach().requires_grad_() for tensor in make_inputs(steps)]
        y = function(*leaves)
        (y * torch.arange(y.numel()).view_as(y).sin().to(dtype)).sum().backward()
        return [y, *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    truth = run(plain_conv_silu, torch.float64)
    found = run(causal_conv_silu, torch.float32)
    assert len(found) == len(truth) == 5
    for a, b in zip(found, truth, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5)


def test_large_values_of_either_sign_stay_finite() -> None:
    x = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4]).view(1, 5, 1)
    weight, bias, past = (
        torch.tensor([[0.0], [0.0], [0.0], [1.0]]),
        torch.zeros(1),
        torch.zeros(1, 3, 1),
    )
    y = causal_conv_silu(x, weight, bias, past)
    torch.testing.assert_close(y, torch.nn.functional.silu(x), rtol=1e-6, atol=1e-6)
