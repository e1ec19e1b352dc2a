"""What a killed run needs to go on as if nothing had happened, in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mbs_cli.atomic_file import atomic_file
from mbs_cli.errors import CheckpointError
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.step import Learner

_METRIC_PREFIX = "metric/"

# May differ between the runs before and after a resume; everything else must not.
_FREE_FIELDS = frozenset(
    {
        "data",
        "out",
        "init",
        "minutes",
        "clock",
        "steps",
        "device",
        "checkpoint_activations",
        "workers",
        "save_minutes",
        "validate_minutes",
        "tensorboard",
        "cache",
    }
)


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0  # steps done
    seconds: float = 0.0  # of training, validation and saving not counted
    processor_seconds: float = 0.0  # the same in processor time, of all threads together
    best_score: float | None = None  # of the best validation so far
    best_scores: dict[str, float] = field(default_factory=dict)  # its mean scores
    skipped_steps: int = 0  # steps left out because loss or gradient was not finite


def save_run(config: TrainConfig, progress: Progress, learner: Learner) -> None:
    """Write weights, average, optimizer state and progress; the old file stays until it is done.

    Raises CheckpointError, for example on a full disk.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in learner.model.named_parameters():
        tensors[f"model/{name}"] = parameter.detach()
        tensors[f"average/{name}"] = learner.average.values[name]
        for key, value in learner.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{key}/{name}"] = value
    if learner.metric is not None:
        state = learner.metric.state_dict()
        tensors |= {_METRIC_PREFIX + name: value for name, value in state.items()}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"progress": json.dumps(asdict(progress)), "config": json.dumps(recipe_of(config))}
    try:
        with atomic_file(config.run_state, durable=True) as partial:
            save_file(tensors, partial, metadata)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{config.run_state}: the run at step {progress.step} cannot be saved: {error}",
            "make room on the disk, then go on with --resume from the save before",
        ) from error


def load_run(config: TrainConfig, learner: Learner) -> Progress:
    """Overwrite weights, average and optimizer state with the saved ones; the progress so far.

    Raises CheckpointError if the file is damaged, or names the first option that differs.
    """
    path = config.run_state
    try:
        with safe_open(path, framework="pt") as saved:
            metadata = saved.metadata() or {}
            tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118
        progress = Progress(**json.loads(metadata["progress"]))
        _check_same(path, json.loads(metadata["config"]), json.loads(json.dumps(recipe_of(config))))
        _restore(tensors, learner)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: cannot be resumed from: {error}", "start anew with another --out"
        ) from error
    return progress


def recipe_of(config: TrainConfig) -> dict[str, Any]:
    """The options that decide what is learnt; where, how long and how often saved is left out."""
    return {name: value for name, value in asdict(config).items() if name not in _FREE_FIELDS}


def _check_same(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name in sorted(saved.keys() | wanted.keys()):
        if saved.get(name) != wanted.get(name):
            flag = "--" + name.replace("_", "-")
            raise CheckpointError(
                f"{path}: the run was started with {flag} {saved.get(name)}, "
                f"now it is {wanted.get(name)}",
                "resume with the options that it was started with, or use another --out",
            )


def _restore(tensors: dict[str, Tensor], learner: Learner) -> None:
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            parameter.copy_(tensors[f"model/{name}"])
            learner.average.values[name].copy_(tensors[f"average/{name}"])
            state = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors[f"optimizer/{key}/{name}"]
                state[key] = value if key == "step" else value.to(parameter.device)
            learner.optimizer.state[parameter] = state
    if learner.metric is not None:
        learner.metric.load_state_dict(
            {
                name.removeprefix(_METRIC_PREFIX): value
                for name, value in tensors.items()
                if name.startswith(_METRIC_PREFIX)
            }
        )
