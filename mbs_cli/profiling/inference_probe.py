"""Enhancement measured, in a process of its own: its peak of memory and its speed at batch 1."""

from __future__ import annotations

import time

import numpy as np
import torch

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples
from mbs_cli.enhancement.array import enhance_array
from mbs_cli.memory import is_out_of_memory
from mbs_cli.models.registry import build_model
from mbs_cli.profiling.device_memory import PeakMemory
from mbs_cli.profiling.request import ProbeRequest
from mbs_cli.profiling.results import Inference

_LATER_CALLS = 1
_LEVEL = 0.1  # RMS of the made-up signal


def make_signal(seconds: float) -> Samples:
    """One channel (S,) of noise at 16 kHz."""
    samples = np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE_HZ))
    return (_LEVEL * samples).astype(np.float32)


def measure_inference(request: ProbeRequest, device: torch.device) -> Inference:
    """`enhance_array` on one channel; a failure for want of memory is a result."""
    signal = make_signal(request.seconds)
    peak = PeakMemory(device)
    times = []
    try:
        model = build_model(request.config).to(device).eval()
        for _ in range(1 + _LATER_CALLS):
            start = time.perf_counter()
            enhance_array(signal, SAMPLE_RATE_HZ, model=model, device=device.type)
            times.append(time.perf_counter() - start)
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return Inference(request.seconds, fits=False, peak_bytes=None)
    return Inference(
        seconds=request.seconds,
        fits=True,
        peak_bytes=peak.bytes(),
        first_seconds=times[0],
        first_real_time_factor=times[0] / request.seconds,
        real_time_factor=min(times[1:]) / request.seconds,
    )
