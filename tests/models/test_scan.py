"""Every implementation of the selective scan equals the reference, in value and in gradient."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from mbs_cli.errors import UsageError
from mbs_cli.models.scan import Implementation, selective_scan

IMPLEMENTATIONS: list[Implementation] = ["cpu"]
# Largest relative error (norm of the difference by norm of the truth) in float32.
VALUE_TOLERANCE, GRADIENT_TOLERANCE = 3e-6, 2e-5
NAMES = ["x", "dt", "A", "B", "C", "D", "initial_state"]

Inputs = dict[str, Tensor]


def make_inputs(
    sequences: int = 3, steps: int = 70, features: int = 8, states: int = 5, seed: int = 0
) -> Inputs:
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng)

    return {
        "x": normal(sequences, steps, features),
        "dt": torch.rand(sequences, steps, features, generator=rng) * 0.3 + 1e-3,
        "A": -torch.rand(features, states, generator=rng) * 12 - 0.1,
        "B": normal(sequences, steps, states),
        "C": normal(sequences, steps, states),
        "D": normal(features),
        "initial_state": normal(sequences, features, states),
    }


def run_with_gradients(
    inputs: Inputs, implementation: Implementation, dtype: torch.dtype
) -> Inputs:
    leaves = {name: t.to(dtype).detach().requires_grad_() for name, t in inputs.items()}
    y, state = selective_scan(**leaves, implementation=implementation)
    rng = torch.Generator().manual_seed(99)
    y_weight = torch.randn(y.shape, generator=rng).to(dtype)
    state_weight = torch.randn(state.shape, generator=rng).to(dtype)
    ((y * y_weight).sum() + (state * state_weight).sum()).backward()
    gradients = {f"gradient of {name}": leaf.grad for name, leaf in leaves.items()}
    return {"y": y, "state": state} | {k: g for k, g in gradients.items() if g is not None}


def relative_error(found: Tensor, truth: Tensor) -> float:
    found, truth = found.detach().double(), truth.detach().double()
    return float((found - truth).norm() / truth.norm().clamp_min(1e-20))


def assert_equal_to_reference(inputs: Inputs, implementation: Implementation) -> None:
    truth = run_with_gradients(inputs, "reference", torch.float64)
    found = run_with_gradients(inputs, implementation, torch.float32)
    assert found.keys() == truth.keys()
    for name, value in truth.items():
        tolerance = GRADIENT_TOLERANCE if name.startswith("gradient") else VALUE_TOLERANCE
        assert relative_error(found[name], value) < tolerance, name


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("steps", [1, 2, 31, 32, 33, 64, 71])
@pytest.mark.parametrize(("features", "states"), [(1, 1), (16, 12), (5, 3)])
def test_equal_to_reference(
    implementation: Implementation, steps: int, features: int, states: int
) -> None:
    assert_equal_to_reference(make_inputs(3, steps, features, states), implementation)


def test_reference_gradients_are_those_of_finite_differences() -> None:
    inputs = [t.double().requires_grad_() for t in make_inputs(2, 4, 3, 2).values()]
    assert torch.autograd.gradcheck(
        lambda *tensors: selective_scan(*tensors, implementation="reference"), inputs
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("step_size", [1e-4, 1e-2, 1.0, 20.0])
def test_equal_to_reference_for_every_step_size(
    implementation: Implementation, step_size: float
) -> None:
    inputs = make_inputs(2, 90, 8, 4)
    inputs["dt"] = torch.full_like(inputs["dt"], step_size)
    assert_equal_to_reference(inputs, implementation)


@pytest.mark.parametrize("implementation", ["reference", *IMPLEMENTATIONS])
@pytest.mark.parametrize("cut", [1, 31, 32, 50, 69])
def test_two_halves_equal_the_whole(implementation: Implementation, cut: int) -> None:
    inputs = make_inputs()
    whole, last = selective_scan(**inputs, implementation=implementation)

    def part(span: slice, state: Tensor) -> tuple[Tensor, Tensor]:
        sliced = {
            name: tensor[:, span] if name in {"x", "dt", "B", "C"} else tensor
            for name, tensor in inputs.items()
        }
        sliced["initial_state"] = state
        return selective_scan(**sliced, implementation=implementation)

    first, state = part(slice(None, cut), inputs["initial_state"])
    second, final = part(slice(cut, None), state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(final, last, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_no_initial_state_means_zeros(implementation: Implementation) -> None:
    inputs = make_inputs()
    inputs["initial_state"] = torch.zeros_like(inputs["initial_state"])
    with_zeros, _ = selective_scan(**inputs, implementation=implementation)
    del inputs["initial_state"]
    without, _ = selective_scan(**inputs, implementation=implementation)
    torch.testing.assert_close(with_zeros, without, rtol=0, atol=0)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_views_that_are_not_contiguous_give_the_same(implementation: Implementation) -> None:
    inputs = make_inputs()
    views = {
        name: tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor
        for name, tensor in inputs.items()
    }
    assert not views["x"].is_contiguous()
    found, _ = selective_scan(**views, implementation=implementation)
    truth, _ = selective_scan(**inputs, implementation=implementation)
    torch.testing.assert_close(found, truth, rtol=0, atol=0)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_float32_inside_whatever_autocast_says(implementation: Implementation) -> None:
    inputs = make_inputs()
    plain, _ = selective_scan(**inputs, implementation=implementation)
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = selective_scan(**inputs, implementation=implementation)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, plain, rtol=0, atol=0)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_damaged_input_shows(implementation: Implementation) -> None:
    inputs = make_inputs()
    inputs["x"][1, 40, 3] = float("nan")
    y, _ = selective_scan(**inputs, implementation=implementation)
    assert torch.isnan(y[1, 40:, 3]).all()
    assert torch.isfinite(y[0]).all()


def bytes_kept_for_backward(steps: int, features: int, states: int) -> int:
    """What autograd holds on to beyond the inputs themselves."""
    inputs = {n: t.requires_grad_() for n, t in make_inputs(2, steps, features, states).items()}
    own = {tensor.untyped_storage().data_ptr() for tensor in inputs.values()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = selective_scan(**inputs, implementation="cpu")
    del outputs
    return sum(kept.values())


def test_memory_kept_for_backward_grows_with_steps_and_not_with_steps_times_states() -> None:
    lengths = [320, 640, 1280]
    for states in (4, 16):
        kept = [bytes_kept_for_backward(steps, 32, states) for steps in lengths]
        slopes = [
            (b - a) / (n - m)
            for (a, b), (m, n) in zip(pairwise(kept), pairwise(lengths), strict=True)
        ]
        assert slopes[0] == pytest.approx(slopes[1], rel=0.05)
        naive_slope = 2 * 32 * states * 4  # one float32 state per step and sequence
        assert slopes[1] <= naive_slope / 30


def test_unknown_implementation_is_named() -> None:
    with pytest.raises(UsageError, match="fastest"):
        selective_scan(**make_inputs(), implementation="fastest")  # type: ignore[arg-type]
