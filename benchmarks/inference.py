"""Speed of the models themselves on the CPU: kernels for inference beside plain torch.

    python benchmarks/inference.py [--models NAME ...] [--seconds 10] [--rounds 5] [--onnx]

For each preset the real-time factor of a forward pass, plain and fused in turn, on one thread and
on two, and for causal presets the time of one call with few frames on one thread. Weights are
untrained, the speech is real; minima over the rounds, since other work on the machine only adds.
What runs on one thread is given in processor time, which does not count that work.
With --onnx also what onnxruntime needs for the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from mbs_cli.audio.stft import FRAMES_PER_SECOND, SAMPLE_RATE_HZ, stft
from mbs_cli.device import limit_threads
from mbs_cli.models.checkpoint import save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import PRESETS, MbsNetConfig
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.registry import build_model

NOISY = Path(__file__).resolve().parents[1] / "examples" / "noisy"
CALL_FRAMES = (1, 4, 16)
CALLS = 50  # of each number of frames
BIDIRECTIONAL = PRESETS["mbs-net-bidirectional"]
assert isinstance(BIDIRECTIONAL, MbsNetConfig)
CONFIGS = {
    **PRESETS,
    "bidirectional, D=96": replace(BIDIRECTIONAL, features=96),
    "bidirectional, D=64": replace(BIDIRECTIONAL, features=64),
}
# A model, and the context that it runs in.
Ways = dict[str, tuple[nn.Module, Callable[[], AbstractContextManager[object]]]]


def speech(seconds: float) -> Tensor:
    clips = [soundfile.read(file, dtype="float32")[0] for file in sorted(NOISY.glob("*.flac"))]
    samples = np.resize(np.concatenate(clips), round(seconds * SAMPLE_RATE_HZ))
    return stft(torch.from_numpy(samples)[None])


def seconds_of(call: Callable[[], object]) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    call()
    return clock() - start


def ways_of(model: nn.Module, with_onnx: bool) -> Ways:
    # With gradients on, but asked for by no tensor, a model runs as in training.
    ways: Ways = {"plain": (model, torch.enable_grad), "fused": (model, torch.no_grad)}
    if with_onnx:
        ways["onnx"] = (exported(model), torch.no_grad)
    return ways


def exported(model: nn.Module) -> nn.Module:
    """The model as onnxruntime runs it, on as many threads as torch has now."""
    from mbs_cli.models.onnx.export import export_model
    from mbs_cli.models.onnx.session import OnnxModel

    with tempfile.TemporaryDirectory() as folder:
        checkpoint, target = Path(folder) / "model.safetensors", Path(folder) / "model.onnx"
        save_checkpoint(checkpoint, model, CheckpointInfo(preset="custom"))
        export_model(checkpoint, target)
        return OnnxModel(target)


def forward_seconds(ways: Ways, spectrum: Tensor, rounds: int) -> dict[str, float]:
    """Least time of each way, after a round that compiles or loads the kernels."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, (model, context) in ways.items():
            with context():
                times[way].append(seconds_of(partial(model, spectrum)))
    return {way: min(values[1:]) for way, values in times.items()}


def call_seconds(ways: Ways, spectrum: Tensor, frames: int) -> dict[str, float]:
    """Least time of one call with that many frames, state carried over."""

    def calls(model: Any) -> Iterator[float]:
        state = None
        for piece in spectrum.split(frames, dim=2)[:CALLS]:
            start = time.process_time()
            _, state = model.stream(piece, state)
            yield time.process_time() - start

    times = {}
    for way, (model, context) in ways.items():
        with context():
            times[way] = min(calls(model))
    return times


def report(name: str, seconds: float, rounds: int, with_onnx: bool) -> None:
    model = build_model(CONFIGS[name]).eval().requires_grad_(requires_grad=False)
    spectrum = speech(seconds)
    for threads in (1, 2):
        limit_threads(threads)
        least = forward_seconds(ways_of(model, with_onnx), spectrum, rounds)
        factors = ", ".join(f"{way} {value / seconds:.4f}" for way, value in least.items())
        gain = least["plain"] / least["fused"]
        print(f"{name}: {threads} thread(s), real-time factor {factors}: {gain:.1f} times faster")
    if not isinstance(model, MbsNet) or not model.is_causal:
        return
    limit_threads(1)
    ways = ways_of(model, with_onnx)
    for frames in CALL_FRAMES:
        least = call_seconds(ways, speech(frames * CALLS / FRAMES_PER_SECOND), frames)
        times = ", ".join(f"{way} {1000 * value:.2f} ms" for way, value in least.items())
        print(f"{name}: call of {frames} frames ({8 * frames} ms of audio): {times}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--onnx", action="store_true")
    options = parser.parse_args()
    for name in options.models:
        report(name, options.seconds, options.rounds, with_onnx=options.onnx)


if __name__ == "__main__":
    main()
