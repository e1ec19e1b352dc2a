"""The fused scan against the plain loop under autograd: time and memory kept for backward.

    python benchmarks/scan.py [--batch 6] [--seconds 2]

Both run in this process, in turn, on the sizes of `mbs-net`; medians and their ratio are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from mbs_cli.audio.parameters import FRAMES_PER_SECOND
from mbs_cli.models.bands import BANDS
from mbs_cli.models.config import PRESETS, MbsNetConfig
from mbs_cli.models.scan import Implementation, selective_scan

ROUNDS = 3


def make_inputs(batch: int, seconds: float) -> list[Tensor]:
    config = PRESETS["mbs-net"]
    assert isinstance(config, MbsNetConfig)
    sequences, steps = batch * BANDS, round(seconds * FRAMES_PER_SECOND) + 1
    features, states = config.inner_features, config.states
    print(f"S={sequences} sequences, L={steps} steps, D={features} features, N={states} states")
    tensors = [
        torch.randn(sequences, steps, features),
        torch.rand(sequences, steps, features) * 0.1,
        -torch.arange(1.0, states + 1).repeat(features, 1),
        torch.randn(sequences, steps, states),
        torch.randn(sequences, steps, states),
        torch.ones(features),
    ]
    return [tensor.requires_grad_() for tensor in tensors]


def kept_bytes(inputs: list[Tensor], implementation: Implementation) -> int:
    """Distinct storages that autograd holds after the forward pass, the inputs not counted."""
    own = {tensor.untyped_storage().data_ptr() for tensor in inputs}
    storages: dict[int, Tensor] = {}  # holding the tensors keeps addresses from being used twice

    def pack(tensor: Tensor) -> Tensor:
        storages.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y, _ = selective_scan(*inputs, implementation=implementation)
    del y
    return sum(t.untyped_storage().nbytes() for at, t in storages.items() if at not in own)


def forward_and_backward(inputs: list[Tensor], implementation: Implementation) -> float:
    start = time.perf_counter()
    y, _ = selective_scan(*inputs, implementation=implementation)
    y.sum().backward()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    inputs = make_inputs(options.batch, options.seconds)
    implementations: tuple[Implementation, Implementation] = ("reference", "cpu")
    kept = {name: kept_bytes(inputs, name) for name in implementations}
    times: dict[str, list[float]] = {name: [] for name in implementations}
    forward_and_backward(inputs, "cpu")  # compile or load the kernels
    for _ in range(ROUNDS):
        for name in implementations:
            times[name].append(forward_and_backward(inputs, name))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name in implementations:
        print(
            f"{name:9}  forward + backward {medians[name]:.3f} s, "
            f"kept for backward {kept[name] / 1e6:.1f} MB"
        )
    print(
        f"ratio      {medians['reference'] / medians['cpu']:.0f} times faster, "
        f"{kept['reference'] / kept['cpu']:.0f} times less memory"
    )


if __name__ == "__main__":
    main()
