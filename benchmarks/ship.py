"""Put trained weights into the package, in float16: mbs_cli/weights/NAME.safetensors.

    python benchmarks/ship.py runs/flagship/best.safetensors

The name is that of the checkpoint's preset. Afterwards benchmarks/shipped.py measures what is
shipped; that nothing is lost shows in its scores beside those of the run's own file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mbs_cli.models.catalogue import WEIGHTS
from mbs_cli.models.checkpoint import load_checkpoint, save_checkpoint
from mbs_cli.models.config import PRESETS
from mbs_cli.models.shipped import SUFFIX


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path)
    source: Path = parser.parse_args().checkpoint
    model, info = load_checkpoint(source)
    if PRESETS.get(info.preset) != model.config:
        sys.exit(f"{source}: its model is not the preset {info.preset} as it is now")
    target = WEIGHTS / f"{info.preset}{SUFFIX}"
    save_checkpoint(target, model, info, torch.float16)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, from {source.stat().st_size / 1e6:.1f}")


if __name__ == "__main__":
    main()
