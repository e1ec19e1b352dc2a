"""Speed of the models themselves on the CPU: kernels for inference beside plain torch.

    python benchmarks/inference.py [--models NAME ...] [--seconds 10] [--rounds 5]

For each preset the real-time factor of a forward pass, plain and fused in turn, on one thread and
on two, and for causal presets the time of one call with few frames on one thread. Weights are
untrained, the speech is real; minima over the rounds, since other work on the machine only adds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from mbs_cli.audio.stft import FRAMES_PER_SECOND, SAMPLE_RATE_HZ, stft
from mbs_cli.device import limit_threads
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
# With gradients on, but asked for by no tensor, a model runs as in training.
WAYS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "plain": torch.enable_grad,
    "fused": torch.no_grad,
}


def speech(seconds: float) -> Tensor:
    clips = [soundfile.read(file, dtype="float32")[0] for file in sorted(NOISY.glob("*.flac"))]
    samples = np.resize(np.concatenate(clips), round(seconds * SAMPLE_RATE_HZ))
    return stft(torch.from_numpy(samples)[None])


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def forward_seconds(model: nn.Module, spectrum: Tensor, rounds: int) -> dict[str, float]:
    """Least time of each way, after a round that compiles or loads the kernels."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds + 1):
        for way, context in WAYS.items():
            with context():
                times[way].append(seconds_of(lambda: model(spectrum)))
    return {way: min(values[1:]) for way, values in times.items()}


def call_seconds(model: MbsNet, spectrum: Tensor, frames: int) -> dict[str, float]:
    """Least time of one call with that many frames, state carried over."""

    def calls() -> Iterator[float]:
        state = None
        for piece in spectrum.split(frames, dim=2)[:CALLS]:
            start = time.perf_counter()
            _, state = model.stream(piece, state)
            yield time.perf_counter() - start

    times = {}
    for way, context in WAYS.items():
        with context():
            times[way] = min(calls())
    return times


def report(name: str, seconds: float, rounds: int) -> None:
    model = build_model(CONFIGS[name]).eval().requires_grad_(requires_grad=False)
    spectrum = speech(seconds)
    for threads in (1, 2):
        limit_threads(threads)
        least = forward_seconds(model, spectrum, rounds)
        factors = ", ".join(f"{way} {value / seconds:.4f}" for way, value in least.items())
        gain = least["plain"] / least["fused"]
        print(f"{name}: {threads} thread(s), real-time factor {factors}: {gain:.1f} times faster")
    if not isinstance(model, MbsNet) or not model.is_causal:
        return
    limit_threads(1)
    for frames in CALL_FRAMES:
        least = call_seconds(model, speech(frames * CALLS / FRAMES_PER_SECOND), frames)
        times = ", ".join(f"{way} {1000 * value:.2f} ms" for way, value in least.items())
        print(f"{name}: call of {frames} frames ({8 * frames} ms of audio): {times}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name in options.models:
        report(name, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
