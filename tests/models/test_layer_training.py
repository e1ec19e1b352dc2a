"""Layers that train on the CPU by fused kernels equal plain torch, in every gradient."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from mbs_cli.models.config import MbsNetConfig
from mbs_cli.models.encoder import BandMamba, BandMixer
from mbs_cli.models.mamba import MambaLayer
from mbs_cli.models.row_training import trains_fused
from mbs_cli.profiling.kept_bytes import kept_bytes_beside

BANDS = 24  # an odd number is tried in test_inference.py
DTYPES = [torch.float32, torch.bfloat16]


def perturbed(layer: nn.Module) -> nn.Module:
    """A layer in which nothing that training changes still has its first value."""
    for parameter in layer.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return layer


def make_mamba(
    features: int = 32, expand: int = 1, states: int = 12, *, bidirectional: bool = True
) -> nn.Module:
    return perturbed(MambaLayer(features, expand, states, 2, bidirectional))


class PlainMixer(nn.Module):
    def __init__(self, mixer: BandMixer) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: Tensor) -> Tensor:
        return self.mixer.plain(x)


class PlainMamba(nn.Module):
    """A layer that goes on from a state, which kernels for training do not."""

    def __init__(self, layer: MambaLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        inner, states = self.layer.forward_mamba.A_log.shape
        state = (x.new_zeros(len(x), 3, inner), x.new_zeros(len(x), inner, states))
        return self.layer(x, state)[0]


def run(layer: nn.Module, x: Tensor, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Outputs, and the gradients of the input and of every parameter, with products in dtype."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        y = layer(x)
    y = y[0] if isinstance(y, tuple) else y
    torch.manual_seed(0)
    y.backward(torch.randn(y.shape).to(y.dtype))
    gradients = [parameter.grad for parameter in layer.parameters()]
    assert x.grad is not None
    return [y.detach(), x.grad, *(grad.clone() for grad in gradients if grad is not None)]


def exact(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """The same in float64, which no kernel takes."""
    assert not trains_fused(x.double())
    return run(deepcopy(layer).double(), x.double())


def errors(found: list[Tensor], truth: list[Tensor]) -> list[float]:
    assert len(found) == len(truth)
    return [float((a - b).norm() / b.norm()) for a, b in zip(found, truth, strict=True)]


def check(layer: nn.Module, x: Tensor) -> None:
    assert trains_fused(x)
    of_values, *of_gradients = errors(run(layer, x), exact(layer, x))
    assert of_values < 1e-6
    assert max(of_gradients) < 1e-5


@pytest.mark.parametrize("steps", [1, 2, 33, 70])
@pytest.mark.parametrize("sequences", [1, 5])
def test_mamba_of_any_length(steps: int, sequences: int) -> None:
    torch.manual_seed(steps)
    check(make_mamba(), torch.randn(sequences, steps, 32))


@pytest.mark.parametrize(("features", "expand"), [(19, 1), (16, 2), (7, 2)])
@pytest.mark.parametrize("states", [1, 5, 12])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_mamba_of_any_size(features: int, expand: int, states: int, bidirectional: bool) -> None:
    torch.manual_seed(states)
    layer = make_mamba(features, expand, states, bidirectional=bidirectional)
    check(layer, torch.randn(3, 35, features))


@pytest.mark.parametrize("steps", [1, 2, 40])
def test_the_state_after_the_last_step(steps: int) -> None:
    layer, x = make_mamba(), torch.randn(3, steps, 32)
    states, truth = layer(x)[1], deepcopy(layer).double()(x.double())[1]
    for found, expected in zip(states, truth, strict=True):
        assert not found.requires_grad
        torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-6)


def test_mamba_along_bands() -> None:
    torch.manual_seed(0)
    layer = perturbed(BandMamba(MbsNetConfig(features=24, states=5)))
    check(layer, torch.randn(BANDS, 2, 3, 24))


@pytest.mark.parametrize("frames", [1, 9])
def test_band_mixer(frames: int) -> None:
    torch.manual_seed(0)
    mixer = BandMixer(19, BANDS)
    perturbed(mixer)
    x = torch.randn(BANDS, 2, frames, 19)
    check(mixer, x)
    assert max(errors(run(mixer, x), run(PlainMixer(mixer), x))) < 1e-5


def test_what_is_not_contiguous() -> None:
    check(make_mamba(), torch.randn(35, 3, 32).transpose(0, 1))


@pytest.mark.parametrize("name", ["mamba", "mixer"])
def test_bfloat16_rounds_about_as_plain_torch_does(name: str) -> None:
    torch.manual_seed(0)
    if name == "mamba":
        layer, x = make_mamba(), torch.randn(8, 70, 32)
        assert isinstance(layer, MambaLayer)
        plain: nn.Module = PlainMamba(layer)
    else:
        layer, x = BandMixer(32, BANDS), torch.randn(BANDS, 2, 20, 32)
        plain = PlainMixer(layer)
    truth = exact(layer, x)
    found = errors(run(layer, x, torch.bfloat16), truth)
    expected = errors(run(plain, x, torch.bfloat16), truth)
    assert 1e-5 < max(found) < 0.05
    assert all(a < 1.5 * b + 1e-3 for a, b in zip(found, expected, strict=True))


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_no_more_than_rounding(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layers = [
        (make_mamba(), torch.randn(5, 40, 32)),
        (BandMixer(32, BANDS), torch.randn(BANDS, 2, 20, 32)),
    ]
    for layer, x in layers:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(run(layer, x, dtype))
        for a, b in zip(*results, strict=True):
            # The gradients of matrices are torch's own products over many rows, which some
            # processors split among the threads in float32.
            is_split = a.dim() == 2 and dtype == torch.float32
            tolerance = 1e-5 * float(a.abs().max()) if is_split else 0.0
            torch.testing.assert_close(a, b, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_damaged_input_shows_in_the_output_and_in_gradients(
    value: float, dtype: torch.dtype
) -> None:
    layers = [
        (make_mamba(), torch.randn(3, 35, 32)),
        (BandMixer(32, BANDS), torch.randn(BANDS, 2, 5, 32)),
    ]
    for layer, x in layers:
        x[1, -1, ..., 7] = value
        y, dx, *gradients = run(layer, x, dtype)
        assert not torch.isfinite(y[1, -1]).all()
        assert not torch.isfinite(dx[1, -1]).all()
        assert not all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_damaged_gradient_shows(dtype: torch.dtype) -> None:
    layer, x = make_mamba(), torch.randn(3, 35, 32, requires_grad=True)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        y = layer(x)[0]
    damaged = torch.ones_like(y)
    damaged[0, 3, 5] = float("nan")
    y.backward(damaged)
    assert all(not torch.isfinite(p.grad).all() for p in layer.parameters() if p.grad is not None)


def kept_bytes(layer: nn.Module, x: Tensor) -> int:
    x = x.clone().requires_grad_()
    with kept_bytes_beside(layer.parameters()) as kept, torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    del y
    return kept.total


def test_little_is_kept_for_the_backward_pass() -> None:
    layer, mixer = make_mamba(64), BandMixer(64, BANDS)
    assert isinstance(layer, MambaLayer)
    x, features = torch.randn(8, 64, 64), torch.randn(BANDS, 1, 64, 64)
    assert kept_bytes(layer, x) < 0.45 * kept_bytes(PlainMamba(layer), x)
    assert kept_bytes(mixer, features) < 0.6 * kept_bytes(PlainMixer(mixer), features)
