"""Speed of exported models: onnxruntime beside the kernels of `mbs`, on the CPU.

    python benchmarks/exported.py [--models NAME ...] [--seconds 10] [--rounds 5]

For each preset the real-time factor of a forward pass, both by turns, on one thread and on two, and
for causal presets the time of one call with few frames on one thread. Weights are untrained, the
speech is real; minima over the rounds, since other work on the machine only adds. What runs on one
thread is given in processor time, which does not count that work. `mbs` computes in float32 and, as
it does by itself where the CPU can, in bfloat16.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from noisy_speech import noisy_speech
from torch import Tensor, nn

from mbs_cli.audio.parameters import Framing
from mbs_cli.audio.stft import stft
from mbs_cli.device import limit_threads
from mbs_cli.models.checkpoint import load_checkpoint, save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import PRESETS
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.onnx.export import export_model
from mbs_cli.models.onnx.session import OnnxModel
from mbs_cli.models.packing import set_precision
from mbs_cli.models.precision import Precision, dtype_name, resolve_precision
from mbs_cli.models.registry import build_model

CALL_FRAMES = (1, 4, 16)
CALLS = 50  # of each number of frames


def speech(seconds: float, framing: Framing) -> Tensor:
    return stft(torch.from_numpy(noisy_speech(seconds))[None], framing)


def ways_to_run(preset: str, folder: Path) -> dict[str, nn.Module]:
    """The same untrained weights in every way, on as many threads as torch has now."""
    checkpoint, target = folder / f"{preset}.safetensors", folder / f"{preset}.onnx"
    if not target.exists():
        save_checkpoint(checkpoint, build_model(PRESETS[preset]), CheckpointInfo(preset=preset))
        export_model(checkpoint, target)
    ways: dict[str, nn.Module] = {"onnx": OnnxModel(target)}
    best = resolve_precision(Precision.AUTO, torch.device("cpu"))
    for dtype in {torch.float32, best}:
        model, _ = load_checkpoint(checkpoint)
        set_precision(model, dtype)
        ways[dtype_name(dtype)] = model.eval()
    return ways


def seconds_of(call: Callable[[], object]) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    call()
    return clock() - start


def forward_seconds(ways: dict[str, nn.Module], spectrum: Tensor, rounds: int) -> dict[str, float]:
    """Least time of each way, after a round that compiles or loads the kernels."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, model in ways.items():
            times[way].append(seconds_of(partial(model, spectrum)))
    return {way: min(values[1:]) for way, values in times.items()}


def call_seconds(model: Any, spectrum: Tensor, frames: int) -> float:
    """Least time of one call with that many frames, state carried over."""

    def calls() -> Iterator[float]:
        state = None
        for piece in spectrum.split(frames, dim=2)[:CALLS]:
            start = time.process_time()
            _, state = model.stream(piece, state)
            yield time.process_time() - start

    return min(calls())


@torch.no_grad()
def report(name: str, seconds: float, rounds: int, folder: Path) -> None:
    framing = PRESETS[name].framing
    for threads in (2, 1):
        limit_threads(threads)
        ways = ways_to_run(name, folder)
        least = forward_seconds(ways, speech(seconds, framing), rounds)
        factors = ", ".join(f"{way} {value / seconds:.4f}" for way, value in least.items())
        print(f"{name}: {threads} thread(s), real-time factor {factors}")
    if not isinstance(ways["float32"], MbsNet) or not ways["float32"].is_causal:
        return
    for frames in CALL_FRAMES:
        spectrum = speech(frames * CALLS / framing.frames_per_second, framing)
        times = ", ".join(
            f"{way} {1000 * call_seconds(model, spectrum, frames):.2f} ms"
            for way, model in ways.items()
        )
        audio_ms = 1000 * frames / framing.frames_per_second
        print(f"{name}: call of {frames} frames ({audio_ms:g} ms of audio): {times}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            report(name, options.seconds, options.rounds, Path(folder))


if __name__ == "__main__":
    main()
