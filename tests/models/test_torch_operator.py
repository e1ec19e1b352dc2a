"""Torch's own tools see the scan as one operator: autograd, compiler, export, FLOP counter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mbs_cli.models.mamba import Mamba
from mbs_cli.models.scan import Implementation, selective_scan
from tests.conftest import MbsRunner

SEQUENCES, STEPS, FEATURES, STATES = 2, 40, 6, 3


def make_inputs() -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(SEQUENCES, STEPS, FEATURES, generator=rng),
        torch.rand(SEQUENCES, STEPS, FEATURES, generator=rng) * 0.3,
        -torch.rand(FEATURES, STATES, generator=rng),
        torch.randn(SEQUENCES, STEPS, STATES, generator=rng),
        torch.randn(SEQUENCES, STEPS, STATES, generator=rng),
        torch.randn(FEATURES, generator=rng),
    ]
    return [tensor.requires_grad_() for tensor in tensors]


@pytest.mark.parametrize("implementation", ["cpu", "chunked"])
def test_torch_finds_the_operator_well_formed(implementation: str) -> None:
    x, dt, A, B, C, D = make_inputs()
    turned = A.detach().mT.contiguous().requires_grad_()  # the operator has states as (N, D)
    initial = torch.zeros(SEQUENCES, STATES, FEATURES)
    torch.library.opcheck(
        torch.ops.mbs.selective_scan, (x, dt, turned, B, C, D, initial, implementation, True)
    )


@pytest.mark.parametrize("implementation", ["cpu", "chunked"])
def test_compiles_in_one_graph_to_the_same_numbers(implementation: Implementation) -> None:
    def loss(*inputs: Tensor) -> Tensor:
        y, state = selective_scan(*inputs, implementation=implementation)
        return y.square().sum() + state.sum()

    def gradients(function) -> list[Tensor]:
        inputs = make_inputs()
        function(*inputs).backward()
        return [tensor.grad for tensor in inputs if tensor.grad is not None]

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(gradients(compiled), gradients(loss))


def test_a_mamba_block_exports_with_the_scan_as_one_node() -> None:
    block = Mamba(FEATURES, expand=1, states=STATES, step_rank=2)
    x = torch.randn(SEQUENCES, STEPS, FEATURES)
    program = torch.export.export(block, (x,))
    calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert calls.count(torch.ops.mbs.selective_scan.default) == 1
    torch.testing.assert_close(program.module()(x)[0], block(x)[0])


def test_the_flop_counter_counts_it() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        y, _ = selective_scan(*make_inputs())
        forward = counter.get_total_flops()
        y.sum().backward()
    elements = SEQUENCES * STEPS * FEATURES
    assert forward == elements * (7 * STATES + 3)
    assert counter.get_total_flops() - forward == elements * (19 * STATES + 8)


def test_running_it_imports_neither_torchs_compiler_nor_triton(run_mbs: MbsRunner) -> None:
    script = (
        "import sys, torch; from mbs_cli.models.scan import selective_scan as scan\n"
        "x = torch.ones(1, 2, 3, requires_grad=True); A = -torch.ones(3, 2)\n"
        "scan(x, x, A, x[..., :2], x[..., :2], x[0, 0])[0].sum().backward()\n"
        "print([m for m in ('torch._dynamo', 'triton') if m in sys.modules])"
    )
    result = run_mbs(script=script)
    assert result.stdout.strip() == "[]", result.stderr
