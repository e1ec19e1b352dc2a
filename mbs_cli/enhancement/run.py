"""Many tasks through one model: short files together, long ones in blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import nn

from mbs_cli.enhancement.audio_file import copy_empty, enhance_batch, enhance_in_blocks
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.report import (
    Advanced,
    CompilingKernels,
    Event,
    FileReport,
    Listener,
    MovedToCpu,
)
from mbs_cli.enhancement.task import Task
from mbs_cli.errors import MbsError, OutOfMemory
from mbs_cli.memory import is_out_of_memory
from mbs_cli.models.mamba import Mamba
from mbs_cli.models.scan import default_implementation, kernels_need_compiling

# Up to this many channel-seconds a file goes through the model whole, together with others.
SHORT_SECONDS = 15.0


def run_tasks(
    model: nn.Module, tasks: Sequence[Task], batch_size: int, listen: Listener
) -> Iterator[FileReport]:
    """Enhance every task, the shortest first; yield the reports as they come.

    Where memory runs out, less is done at a time; where not even the least fits into a device's,
    the CPU does the rest.
    """
    if _compiles_kernels(model):
        listen(CompilingKernels())
    bounded = BoundedModel(model)
    for group in group_by_length(tasks, batch_size if bounded.is_causal else 1):
        yield from _run_group(bounded, group, listen)


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


def _run_group(model: BoundedModel, group: Sequence[Task], listen: Listener) -> list[FileReport]:
    reports = _attempt(model, group, listen)
    if reports is not None:
        return reports
    if len(group) > 1:
        return [report for task in group for report in _run_group(model, [task], listen)]
    if model.device.type != "cpu":
        listen(MovedToCpu(model.device.type))
        model.move_to_cpu()
        return _run_group(model, group, listen)
    (task,) = group
    return [task.failed(_too_little_memory(task.info.path))]


def _attempt(
    model: BoundedModel, group: Sequence[Task], listen: Listener
) -> list[FileReport] | None:
    """The reports of a group; None if there is too little memory, what was told then taken back."""
    told_seconds: defaultdict[Path, float] = defaultdict(float)

    def tell(event: Event) -> None:
        if isinstance(event, Advanced):
            told_seconds[event.source] += event.seconds
        listen(event)

    try:
        if len(group) > 1:
            return enhance_batch(model, group, tell)
        return [_run(model, group[0], tell)]
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    for source, seconds in told_seconds.items():
        listen(Advanced(source, -seconds))
    return None


def _run(model: BoundedModel, task: Task, listen: Listener) -> FileReport:
    try:
        return copy_empty(task) if task.info.frames == 0 else enhance_in_blocks(model, task, listen)
    except MbsError as error:
        return task.failed(error)


def _too_little_memory(path: Path) -> OutOfMemory:
    return OutOfMemory(
        f"{path}: there is not enough memory, even for the shortest stretch of it",
        "end other programs, or take a smaller model such as mbs-net-small",
    )


def _compiles_kernels(model: nn.Module) -> bool:
    """Whether this run is the first on this machine that needs the CPU's scan kernels."""
    device = next(model.parameters()).device
    has_scan = any(isinstance(module, Mamba) for module in model.modules())
    return has_scan and default_implementation(device) == "cpu" and kernels_need_compiling()
