"""Files and folders of speech, enhanced: the same job as `mbs enhance`, as one call.

Imports nothing heavy: a run that finds nothing to do, or a wrong path, answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mbs_cli.atomic_file import remove_abandoned
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.device import Device
from mbs_cli.enhancement.engine import DEFAULT_BATCH_SIZE, Engine
from mbs_cli.enhancement.loading import DEFAULT_MODEL, Backend
from mbs_cli.enhancement.manifest import (
    kept_manifest,
    listed_jobs,
    read_manifest,
    table_of_shard,
)
from mbs_cli.enhancement.plan import (
    Job,
    Plan,
    check_targets,
    format_for,
    format_of_output,
    plan_jobs,
)
from mbs_cli.enhancement.progress_bar import progress_bar
from mbs_cli.enhancement.report import (
    Clock,
    EnhanceReport,
    Event,
    FileReport,
    Finished,
    Listener,
    Started,
)
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.models.precision import Precision

if TYPE_CHECKING:
    from torch import nn

    from mbs_cli.enhancement.task import Task

_AS_IT_IS = Treatment()
_AS_THE_INPUT = OutputFormat()


def enhance_paths(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    model: str | Path | nn.Module = DEFAULT_MODEL,
    device: Device | str = Device.AUTO,
    backend: Backend | str = Backend.TORCH,
    precision: Precision | str = Precision.AUTO,
    treatment: Treatment = _AS_IT_IS,
    output_format: OutputFormat = _AS_THE_INPUT,
    overwrite: bool = False,
    batch_size: int = DEFAULT_BATCH_SIZE,
    threads: int | None = None,
    jobs: int = 1,
    shard: tuple[int, int] = (1, 1),
    manifest: str | Path | None = None,
    progress: bool = False,
    on_event: Listener | None = None,
) -> EnhanceReport:
    """Enhance files and folders into the folder `output`, the tree below each folder kept.

    Every output keeps its input's sample rate, channels, sample count, container and sample
    format, unless `treatment` (channels, strength) or `output_format` say otherwise. For a single
    file `output` may be the file to write, in the format of its suffix. An output that exists is
    left alone unless `overwrite`. `backend` says what runs the model: torch, or
    onnxruntime, which takes files of `mbs export`, too. `batch_size` short files go through the
    model at once, long files in blocks. With `jobs` above 1 so many processes share the files and
    the threads; `model` is then a name or a path. `shard` (i, n) does the i-th of n equal shares.
    `manifest` is a CSV table kept of all files, for shards one beside it for each; without `paths`
    it also names the files (`mbs_cli.enhancement.manifest` tells its columns). `progress` shows a
    tqdm bar, made for notebooks; `on_event` is told of everything that happens.

    A file that fails is in the report and does not stop the others. Raises UsageError,
    CheckpointError or DeviceError, before anything is written, for what concerns them all.
    """
    clock = Clock()
    engine = Engine(model, device, backend, batch_size, threads, jobs, precision)
    listed: list[Job] = []
    if manifest is not None and not paths:
        rows = read_manifest(Path(manifest))
        listed = listed_jobs(rows, Path(output), output_format.suffix)
    sources = [Path(path) for path in paths]
    output_format = format_of_output(sources, Path(output), output_format)
    plan = plan_jobs(sources, Path(output), output_format, listed).shard(*shard)
    table = None if manifest is None else table_of_shard(Path(manifest), *shard)
    with progress_bar(is_shown=progress) as bar, kept_manifest(table) as keep:
        listen = _tell_all(clock.listen, keep, bar, on_event)
        opened = _open(plan, treatment, output_format, overwrite=overwrite)
        reports = _enhance(opened, engine, listen)
    order = {job.source: place for place, job in enumerate(plan.jobs)}
    reports.sort(key=lambda report: order.get(report.source, len(order)))
    return EnhanceReport(tuple(reports), *clock.read())


def enhance_file(
    source: str | Path,
    target: str | Path,
    *,
    model: str | Path | nn.Module = DEFAULT_MODEL,
    device: Device | str = Device.AUTO,
    precision: Precision | str = Precision.AUTO,
    treatment: Treatment = _AS_IT_IS,
    output_format: OutputFormat = _AS_THE_INPUT,
) -> FileReport:
    """Enhance one file into `target`, in the source's format unless `output_format` or another
    suffix of `target` says otherwise.

    A `target` that exists is replaced.

    Raises AudioError (missing, damaged, not audio, not finite, no room to write), UsageError
    (`target` is `source`, its suffix is of another format), CheckpointError, DeviceError,
    OutOfMemory.
    """
    job = Job(Path(source), Path(target))
    check_targets([job])
    output_format = format_for(job.source, job.target, output_format)
    plan = Plan((job,), ())
    opened = _open(plan, treatment, output_format, overwrite=True)
    (report,) = _enhance(
        opened, Engine(model, device, batch_size=1, precision=precision), _tell_all()
    )
    if report.failure is not None:
        raise report.failure
    return report


def _tell_all(*listeners: Listener | None) -> Listener:
    def tell(event: Event) -> None:
        for listener in listeners:
            if listener is not None:
                listener(event)

    return tell


def _open(
    plan: Plan, treatment: Treatment, output_format: OutputFormat, *, overwrite: bool
) -> list[Task | FileReport]:
    from mbs_cli.enhancement.task import open_tasks

    return list(open_tasks(plan, overwrite, treatment, output_format))


def _enhance(
    opened: Sequence[Task | FileReport], engine: Engine, listen: Listener
) -> list[FileReport]:
    from mbs_cli.enhancement.task import Task

    tasks = [task for task in opened if isinstance(task, Task)]
    reports = [report for report in opened if isinstance(report, FileReport)]
    listen(Started(len(opened), sum(task.info.seconds for task in tasks)))
    for report in reports:
        listen(Finished(report))
    for folder in {task.target.parent for task in tasks}:
        remove_abandoned(folder)
    if tasks:
        for report in engine.run(tasks, listen):
            listen(Finished(report))
            reports.append(report)
    return reports
