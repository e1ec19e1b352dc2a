"""Checkpointed activations: the same gradients from less memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mbs_cli.models.config import PRESETS
from mbs_cli.models.precision import products_in, training_dtype
from mbs_cli.models.registry import build_model
from mbs_cli.profiling.kept_bytes import kept_bytes_beside


def run(preset: str, checkpoint_activations: bool) -> tuple[list[Tensor], int]:
    """Gradients of one step in the precision of training, and the bytes kept for it."""
    torch.manual_seed(0)
    model = build_model(PRESETS[preset], checkpoint_activations)
    spectrum = torch.randn(1, 257, 20, 2)
    products = products_in(training_dtype("auto", spectrum.device), spectrum.device)
    with kept_bytes_beside(model.parameters()) as kept, products:
        loss = model(spectrum).float().square().mean()
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    return [gradient for gradient in gradients if gradient is not None], kept.total


@pytest.mark.parametrize("preset", ["mbs-net", "mbs-net-bidirectional", "bsrnn"])
def test_gradients_are_the_same_and_less_is_kept(preset: str) -> None:
    plain, plain_bytes = run(preset, checkpoint_activations=False)
    found, found_bytes = run(preset, checkpoint_activations=True)
    assert len(found) == len(plain) > 0
    for a, b in zip(found, plain, strict=True):
        assert torch.equal(a, b)
    assert found_bytes < (0.5 if preset == "bsrnn" else 0.7) * plain_bytes
