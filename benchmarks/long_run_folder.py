"""What long_run.py finds in the folder of a run: its process, its plan, its figures and weights."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from mbs_cli.models.checkpoint_header import read_header
from mbs_cli.training.config import TrainConfig

Row = dict[str, str]


@dataclass
class Plan:
    """How a run is started, kept in its folder: going on needs the same options."""

    options: list[str]
    processes: int = 2
    clips_before: int = 0  # of the runs whose weights this one began with

    @staticmethod
    def file(run: Path) -> Path:
        """Where it is kept."""
        return run / "plan.json"

    @classmethod
    def read(cls, run: Path) -> Plan | None:
        """That of a run; None if there is none."""
        path = cls.file(run)
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def write(self, run: Path) -> None:
        """Keep it for the next start."""
        self.file(run).write_text(json.dumps(asdict(self), indent=1) + "\n")


def files_of(run: Path) -> TrainConfig:
    """The names of what a run leaves behind."""
    return TrainConfig(data=run, out=run, steps=1)


def process_of(run: Path) -> psutil.Process | None:
    """The process that trains in this folder, if there is one."""
    try:
        process = psutil.Process(int((run / "pid").read_text()))
        is_it = str(run) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return process if is_it else None


def saved_text(run: Path) -> str:
    """The step that a run goes on from."""
    path = files_of(run).run_state
    if not path.exists():
        return "nothing is saved"
    step = read_header(files_of(run).last_weights).description["training"]["steps"]
    return f"saved at step {step}"


def rows_of(run: Path) -> list[Row]:
    """The rows of metrics.csv, without one that is being written."""
    path = files_of(run).metrics_file
    if not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return list(csv.DictReader(lines, restval=""))


def kept_weights(run: Path) -> list[Path]:
    """The checkpoints of --keep-every, oldest first."""
    return sorted(run.glob("step-*.safetensors"))
