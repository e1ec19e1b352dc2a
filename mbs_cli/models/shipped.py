"""The weights that come with the package, and what `--model` may name."""

from __future__ import annotations

import os
from pathlib import Path

from mbs_cli.errors import CheckpointError, UsageError
from mbs_cli.models.catalogue import BEST, FAST, WEIGHTS, choices
from mbs_cli.models.config import PRESETS

SUFFIX = ".safetensors"


def shipped_models() -> list[str]:
    """The presets that have weights in the package."""
    return [name for name in PRESETS if (WEIGHTS / f"{name}{SUFFIX}").is_file()]


def resolve_model(name_or_path: str) -> Path:
    """The checkpoint that a preset's name, `fast`, `best` or a path stands for; names go first.

    Raises:
        UsageError: neither a preset nor a path.
        CheckpointError: a preset without shipped weights, or a path where there is no file.
    """
    if name_or_path in (FAST, BEST):
        name_or_path = choices()[name_or_path]
    if name_or_path in PRESETS:
        path = WEIGHTS / f"{name_or_path}{SUFFIX}"
        if path.is_file():
            return path
        raise CheckpointError(
            f"the preset {name_or_path} comes without weights",
            f"presets with weights: {', '.join(shipped_models()) or 'none'}; or train it and give "
            "the path of its checkpoint",
        )
    path = Path(name_or_path)
    if os.path.exists(path):  # noqa: PTH110 - that one may raise
        return path
    if path.name != name_or_path or path.suffix:
        raise CheckpointError(f"{path}: there is no such checkpoint file", "check the path")
    raise UsageError(
        f"there is no model {name_or_path!r}",
        f"give the path of a checkpoint or one of {', '.join(PRESETS)}, {FAST}, {BEST}",
    )
