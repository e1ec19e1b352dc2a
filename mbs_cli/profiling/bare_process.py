"""A process in which everything is loaded and nothing is held: what a peak of memory starts from.

Code, tables and compiled kernels are no part of a step's memory. The first training step of a
process loads about 200 MB of them, torch's compiler among it.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.enhancement.array import enhance_array
from mbs_cli.models.registry import build_model
from mbs_cli.profiling.device_memory import limit_memory, release_freed_memory
from mbs_cli.profiling.inference_probe import make_signal
from mbs_cli.profiling.request import ProbeRequest
from mbs_cli.profiling.training_probe import make_clips
from mbs_cli.training.step import Learner

_SECONDS = 0.1


def load_everything(request: ProbeRequest, device: torch.device) -> None:
    """Do with a small model, once, what is to be measured; then limit the memory as requested."""
    small = replace(request, preset="mbs-net-small", switches=(), batch_size=1, seconds=_SECONDS)
    if request.kind == "training":
        Learner(small.train_config, device).step(*make_clips(small), 0, 0.0)
    else:
        model = build_model(small.config).to(device)
        enhance_array(make_signal(_SECONDS), SAMPLE_RATE_HZ, model=model, device=device.type)
    release_freed_memory()
    if device.type == "cpu":
        limit_memory(request.memory_limit_bytes)
