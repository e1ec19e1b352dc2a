"""Many tasks through one model: short files together, long ones in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from mbs_cli.enhancement.audio_file import copy_empty, enhance_batch, enhance_in_blocks
from mbs_cli.enhancement.report import CompilingKernels, FileReport, Listener
from mbs_cli.enhancement.task import Task
from mbs_cli.errors import MbsError, OutOfMemory
from mbs_cli.models.mamba import Mamba
from mbs_cli.models.scan import default_implementation, kernels_need_compiling

# Up to this many channel-seconds a file goes through the model whole, together with others.
SHORT_SECONDS = 15.0


def run_tasks(
    model: nn.Module, tasks: Sequence[Task], batch_size: int, listen: Listener
) -> Iterator[FileReport]:
    """Enhance every task, the shortest first; yield the reports as they come."""
    if _compiles_kernels(model):
        listen(CompilingKernels())
    for group in group_by_length(tasks, batch_size if model.is_causal else 1):
        if len(group) == 1:
            yield _run_alone(model, group[0], listen)
        else:
            yield from _run_together(model, group, listen)


def group_by_length(tasks: Sequence[Task], batch_size: int) -> list[list[Task]]:
    """Groups of at most `batch_size` short files of similar length; long files stay alone."""
    ordered = sorted(tasks, key=lambda task: task.channel_seconds)
    groups: list[list[Task]] = []
    for task in ordered:
        is_short = 0 < task.channel_seconds <= SHORT_SECONDS
        if is_short and groups and len(groups[-1]) < batch_size and groups[-1][0].info.frames:
            groups[-1].append(task)
        else:
            groups.append([task])
    return groups


def _run_together(model: nn.Module, group: Sequence[Task], listen: Listener) -> list[FileReport]:
    try:
        return enhance_batch(model, group, listen)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
    return [_run_alone(model, task, listen) for task in group]


def _run_alone(model: nn.Module, task: Task, listen: Listener) -> FileReport:
    try:
        if task.info.frames == 0:
            return copy_empty(task)
        return enhance_in_blocks(model, task, listen)
    except MbsError as error:
        return task.failed(error)
    except (torch.OutOfMemoryError, MemoryError):
        return task.failed(
            OutOfMemory(f"{task.info.path}: not enough memory", "run it with --device cpu")
        )


def _compiles_kernels(model: nn.Module) -> bool:
    """Whether this run is the first on this machine that needs the CPU's scan kernels."""
    device = next(model.parameters()).device
    has_scan = any(isinstance(module, Mamba) for module in model.modules())
    return has_scan and default_implementation(device) == "cpu" and kernels_need_compiling()
