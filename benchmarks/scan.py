"""The implementations of the scan side by side: time and memory kept for backward.

    python benchmarks/scan.py [--batch 6] [--seconds 2] [--device cpu]
                              [--implementations reference chunked cpu]

All run in this process, in turn, on the sizes of `mbs-net`; medians are printed, and how they
compare with the plain loop under autograd where that is among them. By default those run that
the device can.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import get_args

import torch
from torch import Tensor

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.models.config import PRESETS, MbsNetConfig
from mbs_cli.models.scan import Implementation, default_implementation, selective_scan
from mbs_cli.profiling.kept_bytes import kept_bytes_beside

ROUNDS = 3


def make_inputs(batch: int, seconds: float, device: torch.device) -> list[Tensor]:
    config = PRESETS["mbs-net"]
    assert isinstance(config, MbsNetConfig)
    sequences = batch * config.band_table.bands
    steps = config.framing.frame_count(round(seconds * SAMPLE_RATE_HZ))
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
    return [tensor.to(device).requires_grad_() for tensor in tensors]


def kept_bytes(inputs: list[Tensor], implementation: Implementation) -> int:
    with kept_bytes_beside(inputs) as kept:
        y, _ = selective_scan(*inputs, implementation=implementation)
    del y
    return kept.total


def forward_and_backward(inputs: list[Tensor], implementation: Implementation) -> float:
    start = time.perf_counter()
    y, _ = selective_scan(*inputs, implementation=implementation)
    y.sum().backward()
    if y.is_cuda:
        torch.cuda.synchronize(y.device)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--implementations", nargs="+", choices=get_args(Implementation))
    options = parser.parse_args()
    fastest = default_implementation(options.device)
    names = options.implementations or dict.fromkeys(("reference", "chunked", fastest))
    inputs = make_inputs(options.batch, options.seconds, options.device)
    kept = {name: kept_bytes(inputs, name) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        if name != "reference":
            forward_and_backward(inputs, name)  # compile or load the kernels
    for _ in range(ROUNDS):
        for name in names:
            times[name].append(forward_and_backward(inputs, name))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name in names:
        line = (
            f"{name:9}  forward + backward {medians[name]:.4f} s, "
            f"kept for backward {kept[name] / 1e6:.1f} MB"
        )
        if name != "reference" and "reference" in medians:
            faster = medians["reference"] / medians[name]
            line += f": {faster:.0f} times faster, {kept['reference'] / kept[name]:.0f} times less"
        print(line)


if __name__ == "__main__":
    main()
