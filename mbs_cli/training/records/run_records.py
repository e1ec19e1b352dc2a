"""What a run leaves in its folder beside the weights, event by event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mbs_cli.atomic_file import atomic_file
from mbs_cli.data.report import DataReport
from mbs_cli.errors import DataError, MbsError
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.events import (
    Event,
    Failed,
    Finished,
    OnEvent,
    Remark,
    Report,
    Started,
    Validated,
)
from mbs_cli.training.records.curves import draw_curves
from mbs_cli.training.records.json_log import plain
from mbs_cli.training.records.metrics_file import MetricsFile, read_series
from mbs_cli.training.records.tensorboard_files import TensorboardFiles, is_tensorboard_installed


class RunRecords:
    """Passes events on and keeps data report, metrics, learning curves and TensorBoard files.

    A resumed run goes on in all of them: what belongs to steps that are done again is dropped.
    A data report or metrics that cannot be written are a `failure`, which asks the run to save
    and end; without a picture or TensorBoard files it goes on, and says so.
    """

    def __init__(self, config: TrainConfig, on_event: OnEvent) -> None:
        self.failure: MbsError | None = None
        self._config, self._on_event = config, on_event
        self._data_report: DataReport | None = None
        self._metrics: MetricsFile | None = None
        self._tensorboard: TensorboardFiles | None = None
        self._title = config.model

    def take(self, event: Event) -> None:
        """Pass it on and record it."""
        self._on_event(event)
        match event:
            case DataReport():
                self._data_report = event
            case Started():
                self._open(event)
            case Report() | Validated():
                self._add(event)
            case Finished(complete=False) if self._metrics is not None and self.failure is None:
                self._draw()  # a run that ends has just been validated, and drawn then

    def close(self) -> None:
        """Let go of the files."""
        if self._tensorboard is not None:
            with suppress(OSError):  # every event was flushed, or its failure told
                self._tensorboard.close()

    def _open(self, event: Started) -> None:
        """Only now is it certain that the run begins, and where."""
        self._title = f"{event.model}, {event.parameters / 1e6:.2f} M parameters"
        with self._needed(self._config.data_file):
            _write_json(self._config.data_file, self._data_report)
        with self._needed(self._config.metrics_file):
            self._metrics = MetricsFile(self._config.metrics_file, event.step)
        if not self._config.tensorboard:
            return
        if is_tensorboard_installed():
            self._tensorboard = TensorboardFiles(self._config.tensorboard_folder, event.step)
        else:
            self._on_event(Remark(_NO_TENSORBOARD))

    def _add(self, event: Report | Validated) -> None:
        self._add_to_tensorboard(event)
        if self._metrics is None or self.failure is not None:
            return
        with self._needed(self._config.metrics_file):
            self._metrics.add(event)
        if isinstance(event, Validated) and self.failure is None:
            self._draw()

    def _add_to_tensorboard(self, event: Report | Validated) -> None:
        if self._tensorboard is None:
            return
        try:
            self._tensorboard.add(event)
        except (OSError, ImportError, ValueError) as error:  # or a package that does not fit
            self.close()
            self._tensorboard = None
            self._go_without(self._config.tensorboard_folder, error)

    def _draw(self) -> None:
        try:
            series = read_series(self._config.metrics_file)
            draw_curves(series, self._config.curves_file, self._title)
        except (OSError, DataError) as error:
            self._go_without(self._config.curves_file, error)

    def _go_without(self, path: Path, error: Exception) -> None:
        self._on_event(Remark(f"{path}: cannot be written ({error}); the run goes on"))

    @contextmanager
    def _needed(self, path: Path) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            self.failure = error
        except OSError as error:
            self.failure = MbsError(
                f"{path}: cannot be written ({error.strerror})",
                f"the run was saved in {self._config.out}: make room on the disk, or mend its "
                "permissions, and go on with --resume",
            )


_NO_TENSORBOARD = (
    "no TensorBoard files: the package is not installed (pip install 'mbs-cli[tensorboard]'); "
    "--no-tensorboard leaves out this line"
)


@contextmanager
def open_records(config: TrainConfig, on_event: OnEvent) -> Iterator[RunRecords]:
    """The records of one run, which they end with: raises their failure, if there was one.

    An MbsError that ends the run is told as an event too.
    """
    records = RunRecords(config, on_event)
    try:
        yield records
        if records.failure is not None:
            raise records.failure
    except MbsError as error:
        on_event(Failed(error.message, error.hint))
        raise
    finally:
        records.close()


def _write_json(path: Path, report: object) -> None:
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(plain(report), indent=1) + "\n", encoding="utf-8")
