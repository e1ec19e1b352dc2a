"""Many tasks through one model: short files together, long ones in blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from torch import nn

from mbs_cli.audio.samples import Samples
from mbs_cli.device import device_of
from mbs_cli.enhancement.audio_file import copy_empty, enhance_in_blocks
from mbs_cli.enhancement.batch import Loaded, load_batch, store_whole, too_little_memory
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.enhancer import enhance_together
from mbs_cli.enhancement.overlap import read_ahead
from mbs_cli.enhancement.report import (
    Advanced,
    CompilingKernels,
    Event,
    FileReport,
    Listener,
    MovedToCpu,
)
from mbs_cli.enhancement.task import Task
from mbs_cli.errors import MbsError
from mbs_cli.memory import is_out_of_memory
from mbs_cli.models.mamba import has_scan
from mbs_cli.models.scan import default_implementation, kernels_need_compiling

# Up to this many channel-seconds a file goes through the model whole, together with others.
SHORT_SECONDS = 15.0
_LONGER_AT_MOST = 1.25  # times the shortest of the files that go together


def run_tasks(
    model: nn.Module, tasks: Sequence[Task], batch_size: int, listen: Listener
) -> Iterator[FileReport]:
    """Enhance every task, the shortest first; yield the reports as they come.

    Short files are read and written in threads while the model works on others. Where memory runs
    out, less is done at a time; where not even the least fits into a device's, the CPU does the
    rest.
    """
    if compiles_kernels(model):
        listen(CompilingKernels())
    bounded = BoundedModel(model)
    groups = group_by_length(tasks, batch_size if bounded.is_causal else 1)
    storing: deque[Future[FileReport]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="writing") as writing:
        for batch in read_ahead(map(load_batch, groups)):
            yield from batch.failed
            enhanced = _enhance_batch(bounded, batch.loaded, listen)
            if enhanced is None:
                yield from (_run_alone(bounded, item.task, listen) for item in batch.loaded)
                continue
            for item, signal in zip(batch.loaded, enhanced, strict=True):
                storing.append(writing.submit(store_whole, item, signal))
            if batch.alone is not None:
                yield _run_alone(bounded, batch.alone, listen)
            while len(storing) > batch_size:
                yield storing.popleft().result()
        while storing:
            yield storing.popleft().result()


def group_by_length(tasks: Sequence[Task], batch_size: int) -> list[list[Task]]:
    """Groups of at most `batch_size` short files of similar length; long files stay alone."""
    groups: list[list[Task]] = []
    for task in sorted(tasks, key=lambda task: task.info.seconds):
        first = groups[-1][0] if groups and len(groups[-1]) < batch_size else None
        if first is not None and _go_together(first, task):
            groups[-1].append(task)
        else:
            groups.append([task])
    return groups


def _go_together(shorter: Task, longer: Task) -> bool:
    """Whether so little is lost by making the shorter file as long that one call is faster."""
    are_short = _is_short(shorter) and _is_short(longer)
    return are_short and 0 < longer.info.seconds / _LONGER_AT_MOST <= shorter.info.seconds


def _is_short(task: Task) -> bool:
    """Whether a file is sure to fit into memory; a length that is an estimate may be a lie."""
    return task.info.has_exact_length and task.channel_seconds <= SHORT_SECONDS


def _enhance_batch(
    model: BoundedModel, loaded: Sequence[Loaded], listen: Listener
) -> list[Samples] | None:
    """What becomes of files in memory; None if there is too little memory for that."""
    if not loaded:
        return []
    signals = [item.at_model_rate for item in loaded]
    try:
        enhanced = enhance_together(model, signals, loaded[0].task.treatment.channels)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    for item in loaded:
        listen(Advanced(item.task.info.path, item.task.info.seconds))
    return enhanced


def _run_alone(model: BoundedModel, task: Task, listen: Listener) -> FileReport:
    """One file in blocks; from its start again in smaller ones where memory runs out beside the
    model, and on the CPU where not even the smallest fit into a device's.
    """
    report = _attempt(model, task, listen)
    while report is None and model.take_less():
        report = _attempt(model, task, listen)
    if report is None and model.device.type != "cpu":
        listen(MovedToCpu(model.device.type))
        model.move_to_cpu()
        return _run_alone(model, task, listen)
    return report or task.failed(too_little_memory(task.info.path))


def _attempt(model: BoundedModel, task: Task, listen: Listener) -> FileReport | None:
    """The report of a file; None if there is too little memory, what was told then taken back."""
    told_seconds = 0.0

    def tell(event: Event) -> None:
        nonlocal told_seconds
        if isinstance(event, Advanced):
            told_seconds += event.seconds
        listen(event)

    try:
        return copy_empty(task) if task.info.frames == 0 else enhance_in_blocks(model, task, tell)
    except MbsError as error:
        return task.failed(error)
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    listen(Advanced(task.info.path, -told_seconds))
    return None


def compiles_kernels(model: nn.Module) -> bool:
    """Whether this run is the first on this machine that needs the CPU's scan kernels."""
    is_on_cpu = default_implementation(device_of(model)) == "cpu"
    return is_on_cpu and has_scan(model) and kernels_need_compiling()
