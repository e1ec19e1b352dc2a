"""What a run leaves behind beside its metrics: how it was started, and its weights on the way."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from mbs_cli import __version__
from mbs_cli.atomic_file import atomic_file
from mbs_cli.errors import CheckpointError, MbsError, UsageError
from mbs_cli.models.checkpoint import save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.registry import build_model
from mbs_cli.options import command_line
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.run_state import Progress, recipe_of, save_run
from mbs_cli.training.step import Learner
from mbs_cli.training.training_data import TrainingData


def decide_resume(config: TrainConfig, resume: bool, is_restart: bool) -> bool:
    """Whether there is a run to go on with; raises UsageError if that is not what was asked for."""
    is_there = config.run_state.exists()
    if is_restart:
        return is_there
    if is_there and not resume:
        raise UsageError(
            f"{config.out}: holds a run already", "go on with --resume, or use another --out"
        )
    if resume and not is_there:
        raise UsageError(f"{config.run_state}: there is no run to resume", "leave out --resume")
    return resume


def write_description(config: TrainConfig, device: torch.device, processes: int) -> None:
    """All options, the command that repeats the run, and the versions it ran with, as JSON.

    Raises CheckpointError if the folder cannot be written to.
    """
    description = {
        "command": command_line("mbs train", config),
        "processes": processes,
        "device": str(device),
        "seed": config.seed,
        "versions": {
            "mbs": __version__,
            "git_commit": _git_commit(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "config": asdict(config),
        "network": asdict(config.network),
    }
    try:
        with atomic_file(config.description) as partial:
            partial.write_text(json.dumps(description, indent=2, default=str) + "\n")
    except OSError as error:
        raise CheckpointError(
            f"{config.description}: cannot be written: {error.strerror}", "give another --out"
        ) from error


def _git_commit() -> str | None:
    """The commit of the checkout that this code runs from; None if it is installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(  # noqa: S603 - nothing of it is anyone's input
            ["git", "-C", str(root), "rev-parse", "HEAD"],  # noqa: S607 - git from the path
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


@dataclass
class Checkpoints:
    """Writes the averaged weights, and what the run resumes from."""

    config: TrainConfig
    learner: Learner
    progress: Progress
    data: TrainingData

    def __post_init__(self) -> None:
        with torch.random.fork_rng(devices=[]):  # the initial values are overwritten at once
            model = build_model(self.config.network)
        self.averaged_model = model.to(self.learner.device).eval()
        self.saved_step = self.progress.step  # 0: nothing saved so far

    def average(self) -> torch.nn.Module:
        """The model with the averaged weights as they are now."""
        self.learner.average.copy_to(self.averaged_model)
        return self.averaged_model

    def save(self) -> None:
        """The last weights and the state to resume from."""
        self._write(self.config.last_weights, {})
        with self.naming_last_good():
            save_run(self.config, self.progress, self.learner)
        self.saved_step = self.progress.step

    def save_best(self, scores: dict[str, float]) -> None:
        """The present weights as those that validated best."""
        self._write(self.config.best_weights, scores)

    def keep(self) -> None:
        """The present weights under the number of the step."""
        self._write(self.config.kept_weights(self.progress.step), {})

    @contextmanager
    def naming_last_good(self) -> Iterator[None]:
        """A failure to write, such as on a full disk, is told with what is left to go on from."""
        try:
            yield
        except (OSError, CheckpointError) as error:
            message = error.message if isinstance(error, MbsError) else f"cannot write: {error}"
            raise CheckpointError(message, f"make room on the disk; {self.last_good()}") from error

    def last_good(self) -> str:
        """What there is to go on from."""
        if not self.saved_step:
            return "nothing was saved so far"
        return f"the last good save is {self.config.run_state} of step {self.saved_step} (--resume)"

    def _write(self, path: Path, scores: dict[str, float]) -> None:
        """The averaged weights as a checkpoint that says how they came about."""
        config, progress, training = self.config, self.progress, self.data.report.training
        facts = {
            "steps": progress.step,
            "hours": round(progress.seconds / 3600, 3),
            "processor_hours": round(progress.processor_seconds / 3600, 3),
            "clips": progress.step * config.batch_size,
            "speech_hours": round(training.speech_hours, 2),
            "noise_hours": round(training.noise_hours, 2),
            "device": str(self.learner.device),
            "processes": self.learner.processes.count,
            "torch": torch.__version__,
            "init_sha256": progress.init_sha256,
            "recipe": recipe_of(config),
            "validation": scores,
        }
        sources = self.data.sources
        info = CheckpointInfo("custom" if config.switches else config.model, facts, sources)
        with self.naming_last_good():
            self.average()
            save_checkpoint(path, self.averaged_model, info)
