"""The mean of the weights of several checkpoints of one model, as another checkpoint.

    python benchmarks/average.py runs/a/best.safetensors runs/b/best.safetensors --out NEW

Of runs that go on from each other, the mean is often better than any of them (Wortsman et al.,
"Model soups", arXiv 2203.05482): what the last steps add to the weights is partly noise. It is a
start for `mbs train --init`. A path given twice weighs twice; what is a mean already counts as what
it is made of.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from mbs_cli.models.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    average(options.checkpoints, options.out)


def average(paths: Sequence[Path], out: Path) -> None:
    """Write the mean of these checkpoints to `out`; SystemExit if their models differ."""
    loaded = [load_checkpoint(path) for path in paths]
    model, info = loaded[0]
    for path, (other, _) in zip(paths, loaded, strict=True):
        if other.config != model.config:
            raise SystemExit(f"{path}: its model is another one than that of {paths[0]}")
    states = [other.state_dict() for other, _ in loaded]
    mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    model.load_state_dict(mean)
    sources = {source["name"]: source for _, other in loaded for source in other.sources}
    parts = merged(
        scaled(part, 1 / len(loaded))
        for path, (_, other) in zip(paths, loaded, strict=True)
        for part in parts_of({"sha256": file_sha256(path)} | other.training)
    )
    mean_info = CheckpointInfo(info.preset, {"mean_of": parts}, list(sources.values()))
    save_checkpoint(out, model, mean_info)


def parts_of(training: dict[str, Any]) -> list[dict[str, Any]]:
    """The trained checkpoints that one is the mean of, with their shares; itself, if of none."""
    if "mean_of" not in training:
        return [training if "share" in training else training | {"share": 1.0}]
    inner = training["mean_of"]
    return [
        scaled(part, 1.0 if "share" in entry else 1 / len(inner))
        for entry in inner
        for part in parts_of(entry)
    ]


def scaled(part: dict[str, Any], factor: float) -> dict[str, Any]:
    """The same checkpoint with another share."""
    return part | {"share": part["share"] * factor}


def merged(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every checkpoint once, with the sum of its shares."""
    by_hash: dict[str, dict[str, Any]] = {}
    for part in parts:
        known = by_hash.setdefault(part["sha256"], part | {"share": 0.0})
        known["share"] += part["share"]
    for part in by_hash.values():
        part["share"] = round(part["share"], 6)
    return list(by_hash.values())


if __name__ == "__main__":
    main()
