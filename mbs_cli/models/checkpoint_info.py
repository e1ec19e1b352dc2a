"""What a checkpoint says about itself: how to rebuild its model, and where the weights come from.

The description is one JSON object:

    {"format": "mbs-checkpoint", "format_version": 2, "mbs_version": "0.1.0", "preset": "mbs-net",
     "sample_rate_hz": 16000, "stft": {"n_fft": 512, "hop": 256, "window": "root-hann"},
     "architecture": "mbs-net", "config": {"frames": "16ms", "bands": "overlapping", ...},
     "training": {...}, "sources": [...]}

`stft` is for readers in other languages: it says what `config.frames` stands for.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mbs_cli import __version__
from mbs_cli.audio.parameters import N_FFT, SAMPLE_RATE_HZ, Framing
from mbs_cli.errors import CheckpointError, UsageError
from mbs_cli.models.config import ARCHITECTURES, ModelConfig, architecture_of

FORMAT = "mbs-checkpoint"
FORMAT_VERSION = 2

# What must be just so, in the order in which it is checked.
_FIXED: dict[str, Any] = {
    "format": FORMAT,
    "format_version": FORMAT_VERSION,
    "sample_rate_hz": SAMPLE_RATE_HZ,
}


@dataclass(frozen=True)
class CheckpointInfo:
    """Facts beside the weights. `training` and `sources` hold whatever JSON can."""

    preset: str  # the preset whose config the model has, or "custom"
    training: dict[str, Any] = field(default_factory=dict)  # hours, steps, recipe, command, scores
    sources: list[dict[str, str]] = field(default_factory=list)  # name, licence and the like
    mbs_version: str = __version__  # the version that wrote the file


def describe(config: ModelConfig, info: CheckpointInfo) -> dict[str, Any]:
    """The description of a model of that config."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mbs_version": info.mbs_version,
        "preset": info.preset,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "stft": _stft(config.framing),
        "architecture": architecture_of(config),
        "config": asdict(config),
        "training": info.training,
        "sources": info.sources,
    }


def parse_description(
    description: Mapping[str, Any], path: Path
) -> tuple[ModelConfig, CheckpointInfo]:
    """The config and the facts of a description.

    Raises:
        CheckpointError: names the first field that does not fit, what it is and what was expected.
    """
    for name, expected in _FIXED.items():
        found = _look_up(description, name, path)
        if found != expected or type(found) is not type(expected):
            raise _misfit(path, name, found, repr(expected))
    config = _config(description, path)
    stft = _typed(description, "stft", dict, path)
    for name, wanted in _stft(config.framing).items():
        if stft.get(name) != wanted:
            raise _misfit(path, f"stft.{name}", stft.get(name), repr(wanted))
    info = CheckpointInfo(
        preset=_typed(description, "preset", str, path),
        training=_typed(description, "training", dict, path),
        sources=_typed(description, "sources", list, path),
        mbs_version=_typed(description, "mbs_version", str, path),
    )
    return config, info


def _stft(framing: Framing) -> dict[str, int | str]:
    return {"n_fft": N_FFT, "hop": framing.hop, "window": framing.window}


def _config(description: Mapping[str, Any], path: Path) -> ModelConfig:
    architecture = _typed(description, "architecture", str, path)
    if architecture not in ARCHITECTURES:
        raise _misfit(path, "architecture", architecture, f"one of {', '.join(ARCHITECTURES)}")
    values = _typed(description, "config", dict, path)
    kind = ARCHITECTURES[architecture]
    known = [entry.name for entry in fields(kind)]
    for name in known:
        _look_up(values, name, path, "config.")
    for name in values:
        if name not in known:
            raise _misfit(path, f"config.{name}", values[name], f"only {', '.join(known)}")
    try:
        config: ModelConfig = kind(**values)
    except (UsageError, TypeError) as error:
        raise CheckpointError(f"{path} does not fit: {error}") from error
    return config


def _typed(description: Mapping[str, Any], name: str, kind: type, path: Path) -> Any:
    found = _look_up(description, name, path)
    if not isinstance(found, kind):
        raise _misfit(path, name, found, f"a {kind.__name__}")
    return found


def _look_up(values: Mapping[str, Any], name: str, path: Path, prefix: str = "") -> Any:
    """The value of a field; a dot in its name goes one level down."""
    found: Any = values
    for key in name.split("."):
        if not isinstance(found, Mapping) or key not in found:
            raise CheckpointError(f"{path} does not fit: {prefix}{name} is missing")
        found = found[key]
    return found


def _misfit(path: Path, name: str, found: Any, expected: str) -> CheckpointError:
    hint = ""
    if name == "format_version":
        hint = "the file was written by another version of mbs; install that one or train again"
    return CheckpointError(
        f"{path} does not fit: {name} is {reprlib.repr(found)}, expected {expected}", hint
    )
