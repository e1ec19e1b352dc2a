"""Speed of the models themselves on the CPU: kernels for inference beside plain torch.

    python benchmarks/inference.py [--models NAME ...] [--seconds 60 600] [--rounds 3]

For each model, on one thread and on two, the real-time factor of plain torch and of the kernels in
float32 and, where the CPU has instructions for it, bfloat16: first of one pass over 10 s, each in
turn, then with the kernels for signals of the lengths given, which go through the model block by
block or window by window as in `mbs enhance`, transforms included. In brackets the same in
processor time, which other work on the machine disturbs less. For causal models also the time of
one call with few frames on one thread. Weights are untrained, the speech is real; minima over the
rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from noisy_speech import noisy_speech
from torch import Tensor, nn

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ, Framing
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import stft
from mbs_cli.device import limit_threads
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.enhancer import open_enhancer
from mbs_cli.enhancement.treatment import ChannelMode
from mbs_cli.models.config import PRESETS, MbsNetConfig
from mbs_cli.models.kernels.lanes import HAS_BFLOAT16
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.packing import set_precision
from mbs_cli.models.registry import build_model

CALL_FRAMES = (1, 4, 16)
CALLS = 50  # of each number of frames
PASS_SECONDS = 10.0
BLOCK_SECONDS = 2.0  # what `mbs enhance` feeds at a time on a CPU
BIDIRECTIONAL = PRESETS["mbs-net-bidirectional"]
assert isinstance(BIDIRECTIONAL, MbsNetConfig)
CONFIGS = {
    **PRESETS,
    "bidirectional, D=96": replace(BIDIRECTIONAL, features=96),
    "bidirectional, D=64": replace(BIDIRECTIONAL, features=64),
}
PRECISIONS = {"float32": torch.float32}
if HAS_BFLOAT16:
    PRECISIONS["bfloat16"] = torch.bfloat16


@dataclass(frozen=True)
class Cost:
    """Of one run: seconds on the clock and of the processor."""

    wall: float
    busy: float

    def least(self, other: Cost) -> Cost:
        """The lesser of each."""
        return Cost(min(self.wall, other.wall), min(self.busy, other.busy))

    def factor(self, seconds: float) -> str:
        """The real-time factor for so much audio."""
        return f"{self.wall / seconds:.4f} ({self.busy / seconds:.4f})"


def cost_of(call: Callable[[], object]) -> Cost:
    wall, busy = time.perf_counter(), time.process_time()
    call()
    return Cost(time.perf_counter() - wall, time.process_time() - busy)


def least_costs(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, Cost]:
    """The least cost of each call, made in turn, after a round that compiles or loads kernels."""
    least: dict[str, Cost] = {}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            cost = cost_of(call)
            least[name] = cost.least(least.get(name, cost)) if turn > 1 else cost
    return least


def speech(seconds: float) -> Samples:
    """One channel (1, S)."""
    return noisy_speech(seconds)[None]


def spectrum_of(seconds: float, framing: Framing) -> Tensor:
    return stft(torch.from_numpy(speech(seconds)), framing)


def pass_calls(model: nn.Module, spectrum: Tensor) -> dict[str, Callable[[], object]]:
    """A pass over the whole spectrum in each way."""

    def plain() -> None:
        # With gradients on, but asked for by no tensor, a model runs as in training.
        with torch.enable_grad():
            model(spectrum)

    def fused(dtype: torch.dtype) -> None:
        set_precision(model, dtype)
        with torch.inference_mode():
            model(spectrum)

    return {"plain": plain} | {name: partial(fused, dtype) for name, dtype in PRECISIONS.items()}


def enhance(model: nn.Module, samples: Samples, dtype: torch.dtype) -> None:
    """As `mbs enhance` does it, in memory."""
    set_precision(model, dtype)
    enhancer = open_enhancer(BoundedModel(model), 1, ChannelMode.LINKED)
    step = round(BLOCK_SECONDS * SAMPLE_RATE_HZ)
    for start in range(0, samples.shape[1], step):
        enhancer.feed(samples[:, start : start + step])
    enhancer.flush()


def call_seconds(model: MbsNet, spectrum: Tensor, frames: int) -> float:
    """Least time of one call with that many frames, state carried over."""
    state, times = None, []
    with torch.inference_mode():
        for piece in spectrum.split(frames, dim=2)[:CALLS]:
            start = time.perf_counter()
            _, state = model.stream(piece, state)
            times.append(time.perf_counter() - start)
    return min(times)


def report(name: str, lengths: Sequence[float], rounds: int) -> None:
    model = build_model(CONFIGS[name]).eval().requires_grad_(requires_grad=False)
    for threads in (1, 2):
        limit_threads(threads)
        calls = pass_calls(model, spectrum_of(PASS_SECONDS, model.framing))
        show(f"{name}: {threads} thread(s), one pass", PASS_SECONDS, least_costs(calls, rounds))
        for seconds in lengths if isinstance(model, MbsNet) else ():
            samples = speech(seconds)
            calls = {
                way: partial(enhance, model, samples, dtype) for way, dtype in PRECISIONS.items()
            }
            show(f"{name}: {threads} thread(s), {seconds:g} s", seconds, least_costs(calls, rounds))
    if not isinstance(model, MbsNet) or not model.is_causal:
        return
    limit_threads(1)
    for frames in CALL_FRAMES:
        spectrum = spectrum_of(frames * CALLS / model.framing.frames_per_second, model.framing)
        milliseconds = 1000 * call_seconds(model, spectrum, frames)
        audio_ms = 1000 * frames / model.framing.frames_per_second
        print(f"{name}: call of {frames} frames ({audio_ms:g} ms of audio): {milliseconds:.2f} ms")


def show(what: str, seconds: float, costs: dict[str, Cost]) -> None:
    factors = ", ".join(f"{way} {cost.factor(seconds)}" for way, cost in costs.items())
    print(f"{what}: real-time factor {factors}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 600.0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name in options.models:
        report(name, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
