"""The mean of the weights of several checkpoints of one model, as another checkpoint.

    python benchmarks/average.py runs/a/best.safetensors runs/b/best.safetensors --out NEW

Of runs that go on from each other, the mean is often better than any of them (Wortsman et al.,
"Model soups", arXiv 2203.05482): what the last steps add to the weights is partly noise. It is a
start for `mbs train --init`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mbs_cli.models.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    loaded = [load_checkpoint(path) for path in options.checkpoints]
    model, info = loaded[0]
    for path, (other, _) in zip(options.checkpoints, loaded, strict=True):
        if other.config != model.config:
            sys.exit(f"{path}: its model is another one than that of {options.checkpoints[0]}")
    states = [other.state_dict() for other, _ in loaded]
    mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    model.load_state_dict(mean)
    sources = {source["name"]: source for _, other in loaded for source in other.sources}
    facts = [
        {"sha256": file_sha256(path)} | other.training
        for path, (_, other) in zip(options.checkpoints, loaded, strict=True)
    ]
    mean_info = CheckpointInfo(info.preset, {"mean_of": facts}, list(sources.values()))
    save_checkpoint(options.out, model, mean_info)


if __name__ == "__main__":
    main()
