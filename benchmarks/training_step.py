"""A training step on the CPU: layers with fused kernels beside plain torch.

    python benchmarks/training_step.py [--models mbs-net mbs-net-bidirectional] [--batch 4]
                                       [--seconds 2] [--rounds 5]

On one thread, products as `mbs train` has them (`--precision auto`): processor seconds of forward
pass, loss and backward pass, the smallest of the rounds, all forms in turn; and what is kept for
the backward pass, beside the weights. With and without checkpointed activations.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from unittest.mock import patch

import torch
from noisy_speech import noisy_speech
from torch import Tensor, nn

from mbs_cli.audio.stft import stft
from mbs_cli.device import limit_threads
from mbs_cli.models import encoder, mamba
from mbs_cli.models.config import PRESETS
from mbs_cli.models.precision import products_in, training_dtype
from mbs_cli.models.registry import build_model
from mbs_cli.profiling.kept_bytes import kept_bytes_beside
from mbs_cli.training.config import LossConfig
from mbs_cli.training.losses import enhancement_loss

KINDS = ("plain", "fused")


@contextmanager
def layers_of(kind: str) -> Iterator[None]:
    """Layers with fused kernels or not, also where the backward pass runs them again."""
    if kind == "fused":
        yield
        return
    with (
        patch.object(encoder, "trains_fused", lambda _: False),
        patch.object(mamba, "trains_fused", lambda _: False),
    ):
        yield


def loss_of(model: nn.Module, noisy: Tensor) -> Tensor:
    with products_in(training_dtype("auto", noisy.device), noisy.device):
        estimate = model(stft(noisy))
    return enhancement_loss(estimate.float(), noisy, 0.5 * noisy, LossConfig())[0]


def step_seconds(model: nn.Module, noisy: Tensor) -> float:
    start = time.process_time()
    loss_of(model, noisy).backward()
    model.zero_grad(set_to_none=True)
    return time.process_time() - start


def kept_bytes(model: nn.Module, noisy: Tensor) -> int:
    with kept_bytes_beside(model.parameters()) as kept:
        loss_of(model, noisy)
    return kept.total


def compare(name: str, noisy: Tensor, rounds: int) -> None:
    models = {
        flag: build_model(PRESETS[name], checkpoint_activations=flag) for flag in (False, True)
    }
    forms = list(product(KINDS, models))
    kept, seconds = {}, {}
    for kind, checkpointed in forms:
        with layers_of(kind):
            kept[kind, checkpointed] = kept_bytes(models[checkpointed], noisy)
            step_seconds(models[checkpointed], noisy)  # compiles or loads the kernels
    for kind, checkpointed in forms * rounds:
        with layers_of(kind):
            found = step_seconds(models[checkpointed], noisy)
        before = seconds.get((kind, checkpointed), found)
        seconds[kind, checkpointed] = min(before, found)
    for form in forms:
        kind, checkpointed = form
        print(
            f"{name}, {kind}{', checkpointed' if checkpointed else ''}: {seconds[form]:.2f} s, "
            f"{kept[form] / 1e6:.0f} MB kept"
        )
    faster = seconds["plain", False] / seconds["fused", False]
    less = kept["plain", False] / kept["fused", False]
    print(f"{name}: {faster:.2f} times faster, {less:.1f} times less kept", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["mbs-net", "mbs-net-bidirectional"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    limit_threads(1)
    speech = torch.from_numpy(noisy_speech(options.batch * options.seconds))
    for name in options.models:
        compare(name, speech.view(options.batch, -1), options.rounds)


if __name__ == "__main__":
    main()
