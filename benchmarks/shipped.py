"""What is known about the shipped weights, measured: mbs_cli/weights/catalogue.json.

    python benchmarks/shipped.py --clean DIR --noisy DIR

Enhances the noisy files with every model that has weights in the package, scores them, and
profiles the model on two threads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mbs_cli.atomic_file import atomic_file
from mbs_cli.models.catalogue import CATALOGUE, ShippedModel
from mbs_cli.models.checkpoint import file_sha256
from mbs_cli.models.shipped import resolve_model, shipped_models

METRICS = (
    *("pesq_wb", "stoi", "estoi", "si_sdr", "csig", "cbak", "covl", "llr", "wss"),
    *("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808"),
)
DECIMALS = 4


def mbs(*arguments: object) -> str:
    command = [sys.executable, "-m", "mbs_cli", *map(str, arguments)]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout


def measure(name: str, clean: Path, noisy: Path) -> tuple[ShippedModel, dict[str, Any]]:
    """The entry of one model, and the machine that it was measured on."""
    with tempfile.TemporaryDirectory() as folder:
        mbs("enhance", noisy, "-o", folder, "--model", name)
        scores = json.loads(
            mbs("score", clean, folder, "--metrics", ",".join(METRICS), "--json", "-")
        )
    path = resolve_model(name)
    report = json.loads(
        mbs("profile", path, "--batch-size", 1, "--seconds", 1, "--threads", 2, "--json", "-")
    )
    (profile,) = report["models"]
    entry = ShippedModel(
        name=name,
        weights_sha256=file_sha256(path),
        file_bytes=path.stat().st_size,
        parameters=profile["parameters"],
        macs_per_second=profile["macs_per_second"],
        real_time_factor=round(profile["inference"]["real_time_factor"], DECIMALS),
        scores={key: round(scores["systems"][0]["mean"][key], DECIMALS) for key in METRICS},
    )
    return entry, report["machine"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", type=Path, required=True)
    parser.add_argument("--noisy", type=Path, required=True)
    options = parser.parse_args()
    entries, machine = [], {}
    for name in shipped_models():
        entry, machine = measure(name, options.clean, options.noisy)
        entries.append(asdict(entry))
        print(json.dumps(entries[-1], indent=1))
    date = datetime.now(UTC).date().isoformat()
    content = {"date": date, "device": machine["device_name"], "models": entries}
    with atomic_file(CATALOGUE) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
