"""A model by its parts: parameters, and multiply-adds per second of audio."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mbs_cli.audio.parameters import BINS
from mbs_cli.models.checkpoint import save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.mamba import CONV_WIDTH, Mamba
from mbs_cli.models.scan import flops as _flops  # noqa: F401 - tells the counter about the scan
from mbs_cli.profiling.results import Component

_FRAMES = 25  # enough, since every part's work grows with the frames alone

_Shape = Sequence[int]


def component_tree(model: Any) -> Component:
    """The tree of a model's modules.

    Multiply-adds are those of a forward pass as training computes it: matrix products by torch's
    FLOP counter, scans by their own formula (`mbs_cli.models.scan.flops`: two of its operations
    count as one multiply-add), convolutions one per tap, LSTMs by the products with their weights.
    Elementwise work is left out, as usual.
    """
    frames_per_second = model.framing.frames_per_second
    macs = {
        path: round(count * frames_per_second / _FRAMES)
        for path, count in _macs_by_module(model).items()
    }
    return _component("", type(model).__name__, model, macs)


def _component(path: str, name: str, module: nn.Module, macs: Mapping[str, int]) -> Component:
    children = tuple(
        _component(f"{path}.{child}".lstrip("."), child, inner, macs)
        for child, inner in module.named_children()
    )
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Component(name, parameters, macs.get(path, 0), children)


def _lstm_flops(x: _Shape, weight: _Shape, recurrent: _Shape, *_: Any, **__: Any) -> int:
    """One direction of an LSTM, which torch runs on a CPU as one operator: its two products."""
    return 2 * math.prod(x[:-1]) * (math.prod(weight) + math.prod(recurrent))


_FORMULAS = {torch.ops.aten.mkldnn_rnn_layer: _lstm_flops}


def _macs_by_module(model: nn.Module) -> Counter[str]:
    """Multiply-adds of `_FRAMES` frames by the path of a module, "" for all.

    Counted in float64, which no fused kernel takes: the counter cannot look into them.
    """
    model = deepcopy(model).double()
    macs: Counter[str] = Counter()

    def count_convolution(module: Mamba, inputs: tuple[Any, ...], _: Any) -> None:
        x: Tensor = inputs[0]
        inner = module.D.shape[0]
        convolutions[module] += CONV_WIDTH * inner * x.shape[0] * x.shape[1]

    convolutions: Counter[nn.Module] = Counter()
    mambas = {path: module for path, module in model.named_modules() if isinstance(module, Mamba)}
    hooks = [mamba.register_forward_hook(count_convolution) for mamba in mambas.values()]
    spectrum = torch.zeros(1, BINS, _FRAMES, 2, dtype=torch.float64)
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    with torch.enable_grad(), counter:
        model(spectrum)
    for hook in hooks:
        hook.remove()
    prefix = type(model).__name__
    for path, operations in counter.get_flop_counts().items():
        if path.split(".")[0] == prefix:
            macs[path.removeprefix(prefix).lstrip(".")] = sum(operations.values()) // 2
    for path, mamba in mambas.items():
        for above in _path_and_above(path):
            macs[above] += convolutions[mamba]
    return _with_lists(model, macs)


def _path_and_above(path: str) -> list[str]:
    """The path of a module, of all that it lies in, and of the whole model ("")."""
    parts = path.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), -1, -1)]


def _with_lists(model: nn.Module, macs: Counter[str]) -> Counter[str]:
    """Add the sums of module lists, which are never called themselves."""
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList):
            macs[path] = sum(macs[f"{path}.{place}"] for place in range(len(module)))
    return macs


def checkpoint_bytes(model: Any, preset: str) -> int:
    """The size of the model's checkpoint on disk, without facts about its training."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_checkpoint(path, model, CheckpointInfo(preset=preset))
        return path.stat().st_size
