"""Every implementation of the selective scan equals the reference, in value and in gradient.

Without a GPU the Triton kernels run in Triton's interpreter; with one they are compiled for it.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from mbs_cli.errors import UsageError
from mbs_cli.models.scan import Implementation, default_implementation, selective_scan
from mbs_cli.models.scan.chunked import scan_by_doubling, scan_by_steps
from mbs_cli.profiling.kept_bytes import kept_bytes_beside

HAS_GPU = torch.cuda.is_available()
if not HAS_GPU:
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernels are imported

on_gpu = (pytest.mark.gpu, pytest.mark.skipif(not HAS_GPU, reason="needs a CUDA device"))
interpreted = pytest.mark.skipif(
    HAS_GPU or find_spec("triton") is None, reason="needs triton, and no GPU"
)
every_implementation = pytest.mark.parametrize(
    ("implementation", "device"),
    [
        pytest.param("cpu", "cpu", id="cpu"),
        pytest.param("chunked", "cpu", id="chunked"),
        pytest.param("cuda", "cpu", id="cuda interpreted", marks=interpreted),
        pytest.param("chunked", "cuda", id="chunked on a GPU", marks=on_gpu),
        pytest.param("cuda", "cuda", id="cuda on a GPU", marks=on_gpu),
    ],
)
# Largest relative error (norm of the difference by norm of the truth) of values and of gradients.
# A GPU's fast exponential errs by two units in the last place, in every step the same way.
TOLERANCES = {
    ("cpu", torch.float32): (3e-6, 2e-5),
    ("chunked", torch.float32): (3e-6, 2e-5),
    ("chunked", torch.float64): (1e-14, 1e-13),
    ("cuda", torch.float32): (2e-5, 5e-5),
}
NAMES = ["x", "dt", "A", "B", "C", "D", "initial_state"]

Inputs = dict[str, Tensor]


def make_inputs(
    sequences: int = 2,
    steps: int = 40,
    features: int = 8,
    states: int = 5,
    device: str = "cpu",
) -> Inputs:
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng)

    inputs = {
        "x": normal(sequences, steps, features),
        "dt": torch.rand(sequences, steps, features, generator=rng) * 0.3 + 1e-3,
        "A": -torch.rand(features, states, generator=rng) * 12 - 0.1,
        "B": normal(sequences, steps, states),
        "C": normal(sequences, steps, states),
        "D": normal(features),
        "initial_state": normal(sequences, features, states),
    }
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def run_with_gradients(
    inputs: Inputs, implementation: Implementation, dtype: torch.dtype
) -> Inputs:
    leaves = {name: t.to(dtype).detach().requires_grad_() for name, t in inputs.items()}
    y, state = selective_scan(**leaves, implementation=implementation)
    rng = torch.Generator().manual_seed(99)
    y_weight = torch.randn(y.shape, generator=rng).to(y)
    state_weight = torch.randn(state.shape, generator=rng).to(y)
    ((y * y_weight).sum() + (state * state_weight).sum()).backward()
    gradients = {f"gradient of {name}": leaf.grad for name, leaf in leaves.items()}
    return {"y": y, "state": state} | {k: g for k, g in gradients.items() if g is not None}


def relative_error(found: Tensor, truth: Tensor) -> float:
    found, truth = found.detach().double(), truth.detach().double()
    return float((found - truth).norm() / truth.norm().clamp_min(1e-20))


def assert_equal_to_reference(
    inputs: Inputs, implementation: Implementation, dtype: torch.dtype = torch.float32
) -> None:
    truth = run_with_gradients(inputs, "reference", torch.float64)
    found = run_with_gradients(inputs, implementation, dtype)
    assert found.keys() == truth.keys()
    of_values, of_gradients = TOLERANCES[implementation, dtype]
    for name, value in truth.items():
        tolerance = of_gradients if name.startswith("gradient") else of_values
        assert relative_error(found[name], value) < tolerance, name


@every_implementation
@pytest.mark.parametrize("steps", [1, 32, 33, 71])
@pytest.mark.parametrize(("features", "states"), [(1, 1), (37, 12)])
def test_equal_to_reference(
    implementation: Implementation, device: str, steps: int, features: int, states: int
) -> None:
    assert_equal_to_reference(make_inputs(2, steps, features, states, device), implementation)


@every_implementation
@pytest.mark.parametrize("step_size", [1e-4, 1.0, 20.0])
def test_equal_to_reference_for_every_step_size(
    implementation: Implementation, device: str, step_size: float
) -> None:
    inputs = make_inputs(device=device)
    inputs["dt"] = torch.full_like(inputs["dt"], step_size)
    assert_equal_to_reference(inputs, implementation)


def test_chunked_computes_in_float64_when_asked_to() -> None:
    assert_equal_to_reference(make_inputs(), "chunked", torch.float64)


@pytest.mark.parametrize("implementation", ["reference", "chunked"])
def test_gradients_are_those_of_finite_differences(implementation: Implementation) -> None:
    inputs = [t.double().requires_grad_() for t in make_inputs(2, 4, 3, 2).values()]
    assert torch.autograd.gradcheck(
        lambda *tensors: selective_scan(*tensors, implementation=implementation), inputs
    )


@pytest.mark.parametrize("steps", [1, 2, 5, 32])
def test_doubling_equals_single_steps(steps: int) -> None:
    rng = torch.Generator().manual_seed(0)
    decays = torch.rand(2, steps, 3, 4, generator=rng, dtype=torch.float64)
    pushes = torch.randn(2, steps, 3, 4, generator=rng, dtype=torch.float64)
    doubled = scan_by_doubling(decays, pushes.clone())
    torch.testing.assert_close(doubled, scan_by_steps(decays, pushes), rtol=1e-13, atol=1e-13)


@every_implementation
@pytest.mark.parametrize("chunk", [7, 100])
def test_chunk_size_does_not_change_the_result(
    implementation: Implementation, device: str, chunk: int
) -> None:
    if implementation == "cpu":
        pytest.skip("the size is compiled in; the sizes of the other tests straddle it")
    module = importlib.import_module(f"mbs_cli.models.scan.{implementation}")
    x, dt, A, B, C, D, initial = make_inputs(device=device).values()
    inputs = (x, dt, A.mT.contiguous(), B, C, D)
    initial = initial.mT.contiguous()

    def run(**options: int) -> list[Tensor]:
        y, final, borders = module.forward(*inputs, initial, keep_borders=True, **options)
        return [y, final, *module.backward(*inputs, borders, y, final, **options)]

    for found, truth in zip(run(chunk=chunk), run(), strict=True):
        assert relative_error(found, truth) < 3e-6


@every_implementation
def test_runs_repeat_bit_by_bit(implementation: Implementation, device: str) -> None:
    inputs = make_inputs(features=33, device=device)
    first, second = (run_with_gradients(inputs, implementation, torch.float32) for _ in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@every_implementation
@pytest.mark.parametrize("cut", [1, 32])
def test_two_halves_equal_the_whole(implementation: Implementation, device: str, cut: int) -> None:
    inputs = make_inputs(device=device)
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


@every_implementation
def test_no_initial_state_means_zeros(implementation: Implementation, device: str) -> None:
    inputs = make_inputs(device=device)
    inputs["initial_state"] = torch.zeros_like(inputs["initial_state"])
    with_zeros, _ = selective_scan(**inputs, implementation=implementation)
    del inputs["initial_state"]
    without, _ = selective_scan(**inputs, implementation=implementation)
    torch.testing.assert_close(with_zeros, without, rtol=0, atol=0)


@every_implementation
def test_views_that_are_not_contiguous_give_the_same(
    implementation: Implementation, device: str
) -> None:
    inputs = make_inputs(device=device)
    views = {
        name: tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor
        for name, tensor in inputs.items()
    }
    assert not views["x"].is_contiguous()
    found, _ = selective_scan(**views, implementation=implementation)
    truth, _ = selective_scan(**inputs, implementation=implementation)
    torch.testing.assert_close(found, truth, rtol=0, atol=0)


@every_implementation
def test_float32_inside_whatever_autocast_says(implementation: Implementation, device: str) -> None:
    inputs = make_inputs(device=device)
    plain, _ = selective_scan(**inputs, implementation=implementation)
    with torch.autocast(device, torch.bfloat16):
        cast, _ = selective_scan(**inputs, implementation=implementation)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, plain, rtol=0, atol=0)


@every_implementation
def test_float32_inside_whatever_comes_in(implementation: Implementation, device: str) -> None:
    inputs = make_inputs(device=device)
    halves = {name: tensor.bfloat16() for name, tensor in inputs.items()}
    found = run_with_gradients(halves, implementation, torch.bfloat16)
    truth = run_with_gradients(halves, implementation, torch.float32)
    for name in ("y", "state"):
        assert torch.equal(found[name], truth[name])
    for name in NAMES:
        gradient = f"gradient of {name}"
        assert torch.equal(found[gradient], truth[gradient].bfloat16())


@every_implementation
def test_a_damaged_input_shows(implementation: Implementation, device: str) -> None:
    inputs = make_inputs(device=device)
    inputs["x"][1, 35, 3] = float("nan")
    y, _ = selective_scan(**inputs, implementation=implementation)
    assert torch.isnan(y[1, 35:, 3]).all()
    assert torch.isfinite(y[0]).all()


def bytes_kept_for_backward(implementation: Implementation, inputs: Inputs) -> int:
    """What autograd holds on to beyond the inputs themselves."""
    for tensor in inputs.values():
        tensor.requires_grad_()
    with kept_bytes_beside(inputs.values()) as kept:
        outputs = selective_scan(**inputs, implementation=implementation)
    del outputs
    return kept.total


@every_implementation
def test_memory_kept_for_backward_grows_with_steps_and_not_with_steps_times_states(
    implementation: Implementation, device: str
) -> None:
    lengths = [32, 64, 128]
    for states in (4, 16):
        kept = [
            bytes_kept_for_backward(implementation, make_inputs(1, steps, 32, states, device))
            for steps in lengths
        ]
        slopes = [
            (b - a) / (n - m)
            for (a, b), (m, n) in zip(pairwise(kept), pairwise(lengths), strict=True)
        ]
        assert slopes[0] == pytest.approx(slopes[1], rel=0.05)
        naive_slope = 32 * states * 4  # one float32 state per step and sequence
        assert slopes[1] <= naive_slope / 30


@every_implementation
def test_nothing_is_kept_where_no_gradient_is_asked_for(
    implementation: Implementation, device: str
) -> None:
    y, state = selective_scan(**make_inputs(device=device), implementation=implementation)
    assert not y.requires_grad
    assert not state.requires_grad


def test_the_device_chooses_the_implementation() -> None:
    assert default_implementation(torch.device("cpu")) == "cpu"
    assert default_implementation(torch.device("mps")) == "chunked"
    on_cuda = "chunked" if find_spec("triton") is None else "cuda"
    assert default_implementation(torch.device("cuda")) == on_cuda


def test_unknown_implementation_is_named() -> None:
    with pytest.raises(UsageError, match="fastest"):
        selective_scan(**make_inputs(), implementation="fastest")  # type: ignore[arg-type]
