"""What is profiled: a preset or the model inside a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mbs_cli.errors import CheckpointError, UsageError
from mbs_cli.models.config import PRESETS, ModelConfig, architecture_of, with_switches


@dataclass(frozen=True)
class Subject:
    """A model by its config. The values of its weights change neither memory nor time."""

    name: str  # as the user gave it
    preset: str  # from which `switches` lead to the config
    switches: tuple[str, ...] = ()
    path: Path | None = None  # of a checkpoint

    @property
    def config(self) -> ModelConfig:
        """The sizes and switches of the model."""
        return with_switches(PRESETS[self.preset], self.switches)


def find_subjects(names: Sequence[str]) -> list[Subject]:
    """Presets by name, checkpoints by path; every preset if none is named.

    Raises UsageError for a name that is no preset and a path that is no checkpoint of ours.
    """
    return [_find_subject(name) for name in dict.fromkeys(names or PRESETS)]


def _find_subject(name: str) -> Subject:
    from mbs_cli.models.checkpoint import load_checkpoint

    if name in PRESETS:
        return Subject(name, name)
    path = Path(name)
    if not path.exists():
        raise UsageError(
            f"there is no model {name!r}",
            f"give the path of a checkpoint or one of {', '.join(PRESETS)}",
        )
    try:
        model, _ = load_checkpoint(path)
    except CheckpointError as error:
        raise UsageError(error.message, error.hint) from error
    switches = tuple(f"{field}={value}" for field, value in asdict(model.config).items())
    return Subject(name, architecture_of(model.config), switches, path)
