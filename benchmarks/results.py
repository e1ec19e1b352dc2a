"""What the shipped models score on pairs, as the Markdown tables of README and model cards.

    python benchmarks/results.py --set NAME=DIR [--set NAME=DIR ...] --out DIR [--models PATHS]

A set is a folder with clean/ and noisy/. For each one this enhances the noisy files by every model,
scores them all at once and prints: means with half their 95 % bootstrap intervals; means by
signal-to-noise ratio and by kind of noise, both read from names such as v012_music_m5db; and the
files that gain least. Rows of other systems come from peers.csv in the set, if it is there, with
the columns system, file and metrics.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

from shipped import METRICS as SHOWN
from shipped import mbs

from mbs_cli.models.shipped import shipped_models
from mbs_cli.scoring.interval import bootstrap_interval
from mbs_cli.scoring.metrics import METRICS

GROUPED = ("pesq_wb", "stoi", "si_sdr", "covl")
LEAST_GAINS = 8  # a tenth of 80
_NAME = re.compile(r"[^_]*_(?P<kind>.+)_(?P<sign>m?)(?P<snr>\d+)db$")

Scores = dict[str, dict[str, float]]  # by file, by metric


def measure(pairs: Path, out: Path, models: list[str]) -> dict[str, Scores]:
    """The scores of a set's noisy files and of every model's, by system."""
    noisy = pairs / "noisy"
    folders = [out / Path(model).parent.name / Path(model).stem for model in models]
    for model, folder in zip(models, folders, strict=True):
        mbs("enhance", noisy, "-o", folder, "--model", model, "--overwrite")
    result = out / "scores.json"
    systems = ("--noisy", noisy, *folders)
    mbs("score", pairs / "clean", *systems, "--metrics", ",".join(SHOWN), "--json", result)
    found = json.loads(result.read_text())["systems"]
    names = ["noisy input", *(f"**{model}**" for model in models)]
    return {
        name: {row["name"]: row["values"] for row in system["rows"]}
        for name, system in zip(names, found, strict=True)
    }


def read_peers(path: Path) -> dict[str, Scores]:
    """The rows of other systems; none if there is no such file."""
    peers: dict[str, Scores] = defaultdict(dict)
    if not path.exists():
        return peers
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            values = {metric: float(row[metric]) for metric in SHOWN if row.get(metric)}
            peers[row["system"]][row["file"]] = values
    peers.pop("noisy", None)
    return peers


def values_of(scores: Scores, metric: str) -> list[float]:
    return [scores[file][metric] for file in sorted(scores) if metric in scores[file]]


def print_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    head = list(head)
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def cell(values: list[float], metric: str) -> str:
    """Mean and half an interval; `n/a` where another system was not scored by the metric."""
    if not values:
        return METRICS[metric].show(None)
    low, high = bootstrap_interval(values)
    show = METRICS[metric].show
    return f"{show(fmean(values))} +- {show((high - low) / 2)}"


def print_means(systems: dict[str, Scores]) -> None:
    def by_pesq(name: str) -> float:
        return -fmean(values_of(systems[name], "pesq_wb"))

    print_table(
        ["system", *(METRICS[metric].title for metric in SHOWN)],
        (
            [name, *(cell(values_of(systems[name], metric), metric) for metric in SHOWN)]
            for name in sorted(systems, key=by_pesq)
        ),
    )


def print_groups(systems: dict[str, Scores], part: str) -> None:
    """Means of a few metrics over the files that share a part of their name."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in sorted(systems["noisy input"]):
        match = _NAME.match(file)
        if match:
            snr = int(match["snr"]) * (-1 if match["sign"] else 1)
            groups[f"{snr} dB" if part == "snr" else match["kind"].replace("_", " ")].append(file)
    order = sorted(groups, key=lambda name: (float(name.split()[0]) if part == "snr" else 0, name))
    print_table(
        ["", *order],
        (
            [
                f"{METRICS[metric].title}, {name}",
                *(
                    METRICS[metric].show(fmean(scores[file][metric] for file in groups[group]))
                    for group in order
                ),
            ]
            for metric in GROUPED
            for name, scores in systems.items()
        ),
    )


def print_least_gains(noisy: Scores, name: str, scores: Scores) -> None:
    """The files whose overall rating rises least."""
    gains = {file: scores[file]["covl"] - noisy[file]["covl"] for file in noisy}
    print_table(
        [f"least gains of {name}", *(METRICS[metric].title for metric in GROUPED)],
        (
            [
                file,
                *(
                    f"{METRICS[m].show(noisy[file][m])} -> {METRICS[m].show(scores[file][m])}"
                    for m in GROUPED
                ),
            ]
            for file in sorted(gains, key=lambda file: gains[file])[:LEAST_GAINS]
        ),
    )


def print_set(name: str, own: dict[str, Scores], peers: dict[str, Scores]) -> None:
    """All tables of one set."""
    print(f"\n{name}: {len(own['noisy input'])} pairs")
    print_means(own | peers)
    print_groups(own, "snr")
    print_groups(own, "kind")
    for system, scores in own.items():
        if system != "noisy input":
            print_least_gains(own["noisy input"], system, scores)


def named_folder(text: str) -> tuple[str, Path]:
    """The parts of NAME=DIR."""
    name, _, folder = text.partition("=")
    if not (name and Path(folder, "clean").is_dir() and Path(folder, "noisy").is_dir()):
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=DIR with DIR/clean and DIR/noisy")
    return name, Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--set",
        dest="sets",
        type=named_folder,
        action="append",
        required=True,
        metavar="NAME=DIR",
        help="pairs to score on, repeatable",
    )
    parser.add_argument("--out", type=Path, required=True, help="for enhanced files and scores")
    parser.add_argument("--models", nargs="+", help="names or checkpoints; default: the shipped")
    options = parser.parse_args()
    models = options.models or list(shipped_models())
    for name, pairs in options.sets:
        own = measure(pairs, options.out / name, models)
        print_set(name, own, read_peers(pairs / "peers.csv"))


if __name__ == "__main__":
    main()
