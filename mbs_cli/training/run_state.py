"""What a killed run needs to go on as if nothing had happened, in one safetensors file.

It holds every tensor that a step changes, torch's random generators, and as JSON the progress, the
recipe, the model's config and the state of the gradient scaler. Clips need no state: clip i is a
function of the seed and i, and the progress tells which come next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from mbs_cli import __version__
from mbs_cli.atomic_file import atomic_file
from mbs_cli.errors import CheckpointError
from mbs_cli.options import flags_of
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.step import Learner

_FORMAT_VERSION = 1

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
        "micro_batch",
        "auto_batch",
        "checkpoint_activations",
        "workers",
        "save_minutes",
        "keep_every",
        "validate_minutes",
        "tensorboard",
        "patience",
        "cache",
    }
)


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0  # steps done
    share: float = 0.0  # of the run, as long as it was to be then, that the last step was taken at
    warm_up_from: int = 0  # the step that the learning rate began to rise at
    seconds: float = 0.0  # of training, validation and saving not counted
    processor_seconds: float = 0.0  # the same in processor time, of all threads together
    validated_seconds: float = 0.0  # the `seconds` of the last validation
    best_score: float | None = None  # of the best validation so far
    best_scores: dict[str, float] = field(default_factory=dict)  # its mean scores
    validations_since_best: int = 0
    skipped_steps: int = 0  # steps left out because loss or gradient was not finite
    skipped_in_a_row: int = 0  # of these, the ones since the last step that was not left out
    micro_batch: int | None = None  # what --auto-batch has come to; None: no need so far
    init_sha256: str | None = None  # of the checkpoint that it began with
    data_sha256: str | None = None  # of what the data are; None: not known

    def share_done(self, config: TrainConfig) -> float:
        """How much of the run is done, 0 to 1 and a little more."""
        if config.steps is not None:
            return self.step / config.steps
        assert config.minutes is not None
        seconds = self.processor_seconds if config.clock == "cpu" else self.seconds
        return seconds / (60 * config.minutes)


def save_run(config: TrainConfig, progress: Progress, learner: Learner) -> None:
    """Write all of the state; the old file stays until it is done.

    Raises CheckpointError, for example on a full disk.
    """
    tensors = learner.state() | _random_states(learner.device)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    description = {
        "format_version": _FORMAT_VERSION,
        "mbs_version": __version__,
        "progress": asdict(progress),
        "config": recipe_of(config),
        "network": asdict(config.network),
        "scaler": learner.scaler.state_dict(),
    }
    metadata = {name: json.dumps(value) for name, value in description.items()}
    try:
        with atomic_file(config.run_state, durable=True) as partial:
            save_file(tensors, partial, metadata)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{config.run_state}: the run at step {progress.step} cannot be saved: {error}",
            "make room on the disk, then go on with --resume from the save before",
        ) from error


def load_run(config: TrainConfig, learner: Learner) -> Progress:
    """Overwrite all of the state with what was saved; the progress so far.

    The first process reads the file, the others get it from there. Raises CheckpointError if it is
    damaged, or names the first option that differs.
    """
    path = config.run_state
    try:
        content = path.read_bytes() if learner.processes.is_first else b""
        content = learner.processes.bytes_from_first(content)
        tensors = load(content)
        description = _description(content)
        _check_fits(config, description)
        progress = Progress(**description["progress"])
        _restore(tensors, learner)
        if description.get("scaler"):
            learner.scaler.load_state_dict(description["scaler"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: cannot be resumed from: {error}", "start anew with another --out"
        ) from error
    return progress


def _description(content: bytes) -> dict[str, Any]:
    """The metadata of a safetensors file: 8 bytes of length, and a header that long, as JSON."""
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    return {name: json.loads(value) for name, value in metadata.items()}


def recipe_of(config: TrainConfig) -> dict[str, Any]:
    """The options that decide what is learnt; where, how long and how often saved is left out."""
    return {name: value for name, value in asdict(config).items() if name not in _FREE_FIELDS}


def _check_fits(config: TrainConfig, description: dict[str, Any]) -> None:
    """Raises CheckpointError that names the first thing in which run and config differ."""
    version = description.get("format_version", 1)
    if version != _FORMAT_VERSION:
        raise CheckpointError(
            f"{config.run_state}: was saved by mbs {description.get('mbs_version', 'unknown')} in "
            f"format {version}, and this is mbs {__version__} with format {_FORMAT_VERSION}",
            "resume with the version that it was started with, or use another --out",
        )
    defaults = recipe_of(TrainConfig(data=config.data, out=config.out, steps=1))
    saved = _flat(defaults) | _flat(_with_new_names(description["config"]))
    wanted = _flat(recipe_of(config))
    if "network" in description:
        default_network = asdict(type(config.network)())
        saved |= _flat({"network": default_network | description["network"]})
        wanted |= _flat({"network": asdict(config.network)})
    flags = flags_of(config)
    for name in sorted(wanted.keys() | saved.keys(), key=lambda name: (name != "model", name)):
        if saved.get(name) != wanted.get(name):
            raise CheckpointError(
                f"{config.run_state}: the run was started with {flags.get(name, name)} "
                f"{saved.get(name)}, "
                f"now it is {wanted.get(name)}",
                "resume with the options that it was started with, or use another --out",
            )


def _with_new_names(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A saved recipe as it would be saved now."""
    renamed = dict(recipe)
    if "bfloat16" in renamed:
        renamed["precision"] = "bfloat16" if renamed.pop("bfloat16") else "float32"
    return renamed


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every field by its dotted name, as JSON would give it back."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _random_states(device: torch.device) -> dict[str, Tensor]:
    states = {"random/cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random/cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore(tensors: dict[str, Tensor], learner: Learner) -> None:
    learner.restore(tensors)
    if "random/cpu" in tensors:
        torch.set_rng_state(tensors["random/cpu"])
    if "random/cuda" in tensors and learner.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random/cuda"], learner.device)
