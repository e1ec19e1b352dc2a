"""One `.safetensors` file that alone rebuilds its model: tensors plus a JSON description.

A checkpoint comes from somewhere else, so nothing in it is ever executed, every claim is checked in
order (header, description, tensors, values), and nothing is allocated that the file does not pay
for with bytes of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mbs_cli.atomic_file import atomic_file
from mbs_cli.errors import CheckpointError
from mbs_cli.models.checkpoint_header import METADATA_KEY, TensorEntry, read_header
from mbs_cli.models.checkpoint_info import CheckpointInfo, describe, parse_description
from mbs_cli.models.config import ModelConfig
from mbs_cli.models.registry import build_model

if TYPE_CHECKING:
    from mbs_cli.models.bsrnn import Bsrnn
    from mbs_cli.models.mbsnet import MbsNet

_STORED_TYPES = ("F32", "F16")  # the second for files that are shipped: half as large


def save_checkpoint(
    path: Path, model: MbsNet | Bsrnn, info: CheckpointInfo, dtype: torch.dtype = torch.float32
) -> None:
    """Write the model's weights as float32 or float16, complete or not at all.

    Raises:
        CheckpointError: a weight is not finite in that dtype, or the file cannot be written.
    """
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in model.state_dict().items()
    }
    _check_finite(tensors, path)
    description = json.dumps(describe(model.config, info), sort_keys=True, allow_nan=False)
    _write_whole(path, save(tensors, metadata={METADATA_KEY: description}))


def load_checkpoint(
    path: Path | str, device: torch.device | str = "cpu"
) -> tuple[MbsNet | Bsrnn, CheckpointInfo]:
    """The model in evaluation mode on that device, in float32, and what the file says about it.

    Raises:
        CheckpointError: the file is not a checkpoint of ours, is damaged or does not fit; the text
            names the first thing that is wrong, what was found and what was expected.
    """
    path = Path(path)
    header = read_header(path)
    config, info = parse_description(header.description, path)
    _check_entries(header.tensors, config, path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}", "get it again") from error
    _check_finite(tensors, path)
    with torch.random.fork_rng(devices=[]):  # the initial values are overwritten at once
        model = build_model(config)
    model.load_state_dict(tensors)
    return model.to(device).eval(), info


def file_sha256(path: Path) -> str:
    """The hash of a file, by which reports name the weights they used."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _WithoutStorage(TorchFunctionMode):
    """Parameters made in here have a shape and no memory: they lie on the meta device."""

    _ALLOCATING = frozenset({torch.empty, torch.zeros, torch.ones})

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func in self._ALLOCATING:
            options["device"] = "meta"
        return func(*args, **options)


def _expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a model, at no cost in memory however large its config."""
    with torch.random.fork_rng(devices=[]), _WithoutStorage():
        model: nn.Module = build_model(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _check_entries(entries: dict[str, TensorEntry], config: ModelConfig, path: Path) -> None:
    expected = _expected_shapes(config)
    for name, shape in expected.items():
        if name not in entries:
            raise CheckpointError(f"{path} does not fit: tensor {name} is missing")
        found = entries[name]
        if found.shape != shape:
            raise CheckpointError(
                f"{path} does not fit: tensor {name} has shape {list(found.shape)}, "
                f"expected {list(shape)}"
            )
        if found.dtype not in _STORED_TYPES:
            raise CheckpointError(
                f"{path} does not fit: tensor {name} is {found.dtype}, expected "
                f"{' or '.join(_STORED_TYPES)}"
            )
    for name in entries:
        if name not in expected:
            raise CheckpointError(f"{path} does not fit: tensor {name} is not part of the model")


def _check_finite(tensors: dict[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{path}: tensor {name} holds values that are NaN or infinite",
                "the training behind it has failed; use an earlier checkpoint",
            )


def _write_whole(path: Path, content: bytes) -> None:
    try:
        with atomic_file(path, durable=True) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror}") from error
