"""What runs inside a measuring process: `python -m mbs_cli.profiling.probe`.

Reads one request as JSON from standard input and answers with one JSON object on standard output.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import torch

from mbs_cli.device import limit_threads
from mbs_cli.profiling.bare_process import load_everything
from mbs_cli.profiling.inference_probe import measure_inference
from mbs_cli.profiling.request import ProbeRequest
from mbs_cli.profiling.results import Inference, Training
from mbs_cli.profiling.training_probe import measure_training


def answer(request: ProbeRequest) -> Training | Inference:
    """Measure in this process."""
    device = torch.device(request.device)
    if request.threads is not None:
        limit_threads(request.threads)
    load_everything(request, device)
    if request.kind == "training":
        return measure_training(request, device)
    return measure_inference(request, device)


def main() -> None:
    """Answer the one request."""
    found = answer(ProbeRequest.from_json(sys.stdin.read()))
    json.dump(asdict(found), sys.stdout)


if __name__ == "__main__":
    main()
