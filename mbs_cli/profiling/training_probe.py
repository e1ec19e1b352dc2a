"""The training step measured, in a process of its own: memory by what holds it, and time.

The step is `mbs_cli.training.step.Learner.step`, the one that `mbs train` takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.memory import is_out_of_memory
from mbs_cli.profiling.device_memory import PeakMemory, available_bytes, heap_gap_bytes
from mbs_cli.profiling.live_bytes import LiveBytes
from mbs_cli.profiling.naive_scan import ScanCalls, measure_naive
from mbs_cli.profiling.request import ProbeRequest
from mbs_cli.profiling.results import MemoryParts, ScanMemory, Training
from mbs_cli.training.step import Learner

_LEAST_STEPS = 2  # the second is the first that finds the optimizer's state beside everything else
_MOST_STEPS = 6
_SECONDS_OF_STEPS = 2.0  # of more steps, so that a short one is timed well
_LEVEL = 0.1  # RMS of the made-up clips; their content decides nothing here


def measure_training(request: ProbeRequest, device: torch.device) -> Training:
    """One training step of that model; a failure for want of memory is a result."""
    clips = make_clips(request)
    peak = PeakMemory(device)
    try:
        return _measure(request, device, clips, peak)
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return request.does_not_fit(peak.bytes())


def _measure(
    request: ProbeRequest, device: torch.device, clips: tuple[Tensor, Tensor], peak: PeakMemory
) -> Training:
    learner = Learner(request.train_config, device)

    def step(number: int) -> None:
        learner.step(*clips, number, 0.0)
        _wait_for(device)

    first, steady = _time_steps(step, request.peak_only)
    measured = peak.bytes()
    found = replace(request.does_not_fit(), fits=True, peak_bytes=measured)
    if request.peak_only:
        return found
    parts, calls = _count_step(learner, step)
    found = replace(
        found,
        counted_bytes=parts.total,
        parts=parts,
        kept_for_backward_bytes=parts.kept_for_backward,
        first_step_seconds=first,
        step_seconds=steady,
        clips_per_second=request.batch_size / steady,
    )
    if request.checkpoint_activations or not calls.shapes:
        return found
    scan = _scan_memory(calls, device)
    naive = parts.kept_for_backward - scan.kept_bytes + scan.naive_bytes
    return replace(found, scan=scan, naive_kept_for_backward_bytes=naive)


def make_clips(request: ProbeRequest) -> tuple[Tensor, Tensor]:
    """Noisy and clean (B, S), made of noise."""
    generator = torch.Generator().manual_seed(0)
    size = (request.batch_size, round(request.seconds * SAMPLE_RATE_HZ))
    clean = _LEVEL * torch.randn(size, generator=generator)
    return clean + _LEVEL * torch.randn(size, generator=generator), clean


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _time_steps(step: Callable[[int], None], peak_only: bool) -> tuple[float, float]:
    """Seconds of the first step, and of the fastest later one."""
    times: list[float] = []
    while len(times) < _LEAST_STEPS or (
        not peak_only and len(times) < _MOST_STEPS and sum(times) < _SECONDS_OF_STEPS
    ):
        start = time.perf_counter()
        step(len(times))
        times.append(time.perf_counter() - start)
    return times[0], min(times[1:])


def _count_step(learner: Learner, step: Callable[[int], None]) -> tuple[MemoryParts, ScanCalls]:
    """One more step, its tensors counted."""
    model = learner.model
    states = [value for state in learner.optimizer.state.values() for value in state.values()]
    optimizer = [*states, *learner.average.values.values()]
    weights = [*model.parameters(), *model.buffers()]
    learner.optimizer.zero_grad(set_to_none=True)
    gaps = 0

    def note_gaps() -> None:
        nonlocal gaps
        gaps = heap_gap_bytes() if learner.device.type == "cpu" else 0

    with ScanCalls() as calls, LiveBytes([*weights, *optimizer], note_gaps) as live:
        step(_MOST_STEPS)
    gradients = _bytes_of(p.grad for p in model.parameters() if p.grad is not None)
    kept = live.at_backward or 0
    return MemoryParts(
        weights=_bytes_of(weights),
        gradients=gradients,
        optimizer=_bytes_of(optimizer),
        kept_for_backward=kept,
        temporaries=max(0, live.peak - kept - gradients),
        heap_gaps=gaps,
    ), calls


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def _scan_memory(calls: ScanCalls, device: torch.device) -> ScanMemory:
    largest = max(shape.naive_bytes for shape in calls.shapes)
    measured = None
    if 2 * largest < available_bytes(device):
        measured = sum(measure_naive(shape, device) * n for shape, n in calls.shapes.items())
    return ScanMemory(calls.shapes.total(), calls.border_bytes, calls.naive_bytes, measured)
