"""With what tasks are enhanced: a model, a device, threads, processes. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mbs_cli.device import Device, limit_threads, usable_cores
from mbs_cli.enhancement.loading import DEFAULT_MODEL, Backend, load_model
from mbs_cli.enhancement.report import FileReport, Listener, ModelLoaded
from mbs_cli.errors import UsageError
from mbs_cli.models.precision import Precision

if TYPE_CHECKING:
    from torch import nn

    from mbs_cli.enhancement.task import Task

DEFAULT_BATCH_SIZE = 4


@dataclass(frozen=True)
class Engine:
    """Raises UsageError for values that cannot be."""

    model: str | Path | nn.Module = DEFAULT_MODEL  # for several processes a name or a path
    device: Device | str = Device.AUTO
    backend: Backend | str = Backend.TORCH
    batch_size: int = DEFAULT_BATCH_SIZE  # short files that go through the model at once
    threads: int | None = None  # of all processes together; None: one for each core
    jobs: int = 1  # processes
    precision: Precision | str = Precision.AUTO

    def __post_init__(self) -> None:
        for option, value in (
            ("--batch-size", self.batch_size),
            ("--threads", self.threads),
            ("--jobs", self.jobs),
        ):
            if value is not None and value < 1:
                raise UsageError(f"{option} {value}: expected at least 1")
        if self.jobs > 1 and not isinstance(self.model, str | Path):
            raise UsageError(
                f"--jobs {self.jobs}: several processes need a model by name or path",
                "save it as a checkpoint and give its path",
            )

    def load(self) -> nn.Module:
        """The model, ready to run in this process; raises what `load_model` raises."""
        if self.threads is not None:
            limit_threads(self.threads)
        return load_model(self.model, self.device, self.backend, self.precision)

    def share(self) -> Engine:
        """What one of the processes gets: its part of the threads."""
        threads = max(1, (self.threads or usable_cores()) // self.jobs)
        return replace(self, threads=threads, jobs=1)

    def run(self, tasks: Sequence[Task], listen: Listener) -> Iterator[FileReport]:
        """Enhance the tasks; yield the reports as they come. Raises what `load_model` raises."""
        if self.jobs > 1:
            from mbs_cli.enhancement.processes import run_in_processes

            yield from run_in_processes(self, tasks, listen)
        else:
            from mbs_cli.enhancement.run import run_tasks

            network = self.load()
            listen(ModelLoaded())
            yield from run_tasks(network, tasks, self.batch_size, listen)
