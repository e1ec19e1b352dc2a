"""Measuring in a fresh process, where nothing that ran before can blur the peak of memory.

If the process is ended for want of memory, that is a result too.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from mbs_cli.memory import is_out_of_memory
from mbs_cli.profiling.request import ProbeRequest
from mbs_cli.profiling.results import Inference, MemoryParts, ScanMemory, Training
from mbs_cli.python_module import module_command, module_environment
from mbs_cli.training.environment import settings_to_keep_memory


def probe_training(request: ProbeRequest) -> Training:
    """One training step, measured under the settings that `mbs train` runs with."""
    found = _ask(request, settings_to_keep_memory() if request.device == "cpu" else {})
    if found is None:
        return request.does_not_fit()
    parts, scan = found.pop("parts"), found.pop("scan")
    return Training(**found, parts=parts and MemoryParts(**parts), scan=scan and ScanMemory(**scan))


def probe_inference(request: ProbeRequest) -> Inference:
    """Enhancement of one signal."""
    found = _ask(request, {})
    return Inference(**found) if found else Inference(request.seconds, fits=False, peak_bytes=None)


def _ask(request: ProbeRequest, settings: dict[str, str]) -> dict[str, Any] | None:
    """The answer of a fresh process; None if it was ended for want of memory."""
    ended = subprocess.run(  # noqa: S603 - a module of ours
        module_command("mbs_cli.profiling.probe"),
        input=request.to_json(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=module_environment() | settings,
        check=False,
    )
    if ended.returncode == 0:
        found: dict[str, Any] = json.loads(ended.stdout)
        return found
    killed = sys.platform != "win32" and ended.returncode == -signal.SIGKILL
    if killed or is_out_of_memory(RuntimeError(ended.stderr)):
        return None
    raise RuntimeError(
        f"measuring {request.preset} failed with code {ended.returncode}:\n{ended.stderr}"
    )
