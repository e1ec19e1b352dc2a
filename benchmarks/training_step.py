"""What a training step costs on the CPU, beside the former default and beside mixing the clips.

    python benchmarks/training_step.py [--models NAME[,FIELD=VALUE...] ...] [--data DATA]
                                       [--batch 4] [--seconds 2] [--rounds 5]

On one thread, products as `mbs train` has them (`--precision auto`): processor milliseconds per
clip of forward pass, loss and backward pass, the smallest of the rounds, all models in turn; how
many times as fast as the first one each is; and what it keeps for the backward pass, beside the
weights. With plain torch in place of the fused kernels, too, for `--plain`. With DATA what mixing a
clip of it costs, on the mean of the rounds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
from noisy_speech import noisy_speech
from torch import Tensor, nn

from mbs_cli.audio.stft import stft
from mbs_cli.device import limit_threads
from mbs_cli.models import encoder, mamba
from mbs_cli.models.config import PRESETS, with_switches
from mbs_cli.models.precision import products_in, training_dtype
from mbs_cli.models.registry import build_model
from mbs_cli.profiling.kept_bytes import kept_bytes_beside
from mbs_cli.training.config import LossConfig, TrainConfig
from mbs_cli.training.environment import settings_to_keep_memory
from mbs_cli.training.losses import enhancement_loss
from mbs_cli.training.training_data import open_training_data

# `mbs-net-bidirectional` as it was until frames became 16 ms long.
FORMER = "mbs-net-bidirectional,frames=8ms,bands=split,features=128,states=12,decoder_hidden=220"
MODELS = (FORMER, *(name for name in PRESETS if name not in {"mbs-net-original", "bsrnn"}))
CLIPS_MIXED = 100


@contextmanager
def plain_torch() -> Iterator[None]:
    """No fused kernels, also where the backward pass runs layers again."""
    with (
        patch.object(encoder, "trains_fused", lambda _: False),
        patch.object(mamba, "trains_fused", lambda _: False),
    ):
        yield


def build(form: str) -> nn.Module:
    """A preset, some of whose fields may be changed."""
    name, *switches = form.split(",")
    return build_model(with_switches(PRESETS[name], switches))


def loss_of(model: nn.Module, noisy: Tensor) -> Tensor:
    with products_in(training_dtype("auto", noisy.device), noisy.device):
        estimate = model(stft(noisy, model.framing))
    target = 0.5 * noisy
    return enhancement_loss(estimate.float(), noisy, target, model.framing, LossConfig())[0]


def step_seconds(model: nn.Module, noisy: Tensor) -> float:
    start = time.process_time()
    loss_of(model, noisy).backward()
    model.zero_grad(set_to_none=True)
    return time.process_time() - start


def kept_bytes(model: nn.Module, noisy: Tensor) -> int:
    with kept_bytes_beside(model.parameters()) as kept:
        loss_of(model, noisy)
    return kept.total


def print_steps(forms: list[str], noisy: Tensor, rounds: int) -> None:
    """A table of all models, measured by turns."""
    models = {form: build(form) for form in forms}
    seconds = {form: float("inf") for form in forms}
    for model in models.values():
        step_seconds(model, noisy)  # compiles or loads the kernels
    for form in forms * rounds:
        seconds[form] = min(seconds[form], step_seconds(models[form], noisy))
    print("| model | parameters | ms per clip | times as fast | MB kept |\n|---|---|---|---|---|")
    for form, model in models.items():
        count = sum(parameter.numel() for parameter in model.parameters())
        faster = seconds[forms[0]] / seconds[form]
        per_clip = 1000 * seconds[form] / len(noisy)
        kept = kept_bytes(model, noisy) / 1e6
        print(f"| `{form}` | {count:,} | {per_clip:.0f} | {faster:.2f} | {kept:.0f} |", flush=True)


def print_mixing(data: Path, seconds: float) -> None:
    """What mixing a clip costs."""
    with TemporaryDirectory() as folder:
        config = TrainConfig(data=data, out=Path(folder), steps=1)
        mixer = open_training_data(config).train
        mixer.clip(0)
        start = time.process_time()
        for number in range(CLIPS_MIXED):
            mixer.clip(number)
        taken = (time.process_time() - start) / CLIPS_MIXED
    per_clip = 1000 * taken * seconds / config.mixing.segment_seconds
    print(f"mixing a clip of {seconds:g} s: {per_clip:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    if settings := settings_to_keep_memory():  # as `mbs train` does
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | settings)
    limit_threads(1)
    speech = torch.from_numpy(noisy_speech(options.batch * options.seconds))
    noisy = speech.view(options.batch, -1)
    print_steps(options.models, noisy, options.rounds)
    if options.plain:
        print("\nplain torch:\n")
        with plain_torch():
            print_steps(options.models, noisy, options.rounds)
    if options.data is not None:
        print_mixing(options.data, options.seconds)


if __name__ == "__main__":
    main()
