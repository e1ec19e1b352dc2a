"""What each part of the model and of the recipe is worth: equal budgets, one seed, one table.

    python benchmarks/ablate.py DATA --clean DIR --noisy DIR --out DIR [--minutes 20]

Every variant is trained by `mbs train` on one thread for the same processor time, enhances the
noisy files by `mbs enhance` and is scored by `mbs score`. Differences to the baseline are paired
by file, with 95 % bootstrap intervals. A stopped run goes on where it was; `--only` picks variants.
`--model` and `--init` train another preset, or go on from weights; with other `--clean` and
`--noisy`, such as those of damaged.py, what is trained already is scored on them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from mbs_cli.models.checkpoint_header import read_header
from mbs_cli.scoring.interval import bootstrap_interval
from mbs_cli.scoring.metrics import METRICS

METRICS_SHOWN = ("pesq_wb", "stoi", "si_sdr", "cbak", "dnsmos_ovrl")
AUGMENTATIONS = (
    *("second-noise", "equaliser", "room", "narrow-band"),
    *("overload", "noise-alone", "speech-alone", "babble", "synthetic-noise"),
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Variant:
    """One way to train, or to enhance with the weights of another variant."""

    name: str
    question: str
    train: tuple[str, ...] = ()  # options of `mbs train`
    enhance: tuple[str, ...] = ()  # options of `mbs enhance`
    weights_of: str | None = None  # no training of its own


def switched(name: str, question: str, *switches: str) -> Variant:
    return Variant(name, question, tuple(f"--switch={switch}" for switch in switches))


BASELINE = "baseline"
VARIANTS = (
    Variant(BASELINE, "the preset as it is"),
    switched("time-lstm", "LSTM in place of Mamba along time", "time_layer=lstm"),
    switched("time-both-ways", "Mamba both ways in time", "time_layer=bidirectional-mamba"),
    switched(
        "bands-mamba", "Mamba in place of the MLP over bands", "band_layer=bidirectional-mamba"
    ),
    switched("bands-none", "nothing across bands", "band_layer=none"),
    switched("magnitude-only", "the noisy phase is kept", "decoder=magnitude"),
    switched("complex-taps", "complex 3-tap filters", "decoder=complex-3-tap"),
    Variant("pcs-targets", "stretched targets", ("--pcs-targets",)),
    Variant("pcs-after", "stretching after the model", enhance=("--pcs",), weights_of=BASELINE),
    switched(
        "flagship-64",
        "Mamba both ways in time and over bands, 64 features",
        "time_layer=bidirectional-mamba",
        "band_layer=bidirectional-mamba",
        "features=64",
        "decoder_hidden=96",
    ),
    Variant("bsrnn", "the published band-split RNN", ("--model=bsrnn",)),
    Variant(
        "mbs-net-bidirectional",
        "Mamba both ways in time, magnitudes alone",
        ("--model=mbs-net-bidirectional",),
    ),
    Variant(
        "more-losses",
        "losses of samples, phase and consistency as well",
        ("--time-weight=50", "--phase-weight=8", "--consistency-weight=10", "--complex-weight=10"),
    ),
    Variant("metric", "a discriminator of PESQ as well", ("--metric-weight=1.3",)),
    Variant("no-over-attenuation", "lost speech weighs once", ("--over-attenuation-weight=0",)),
    Variant("no-loudness", "what a listener hears is no part", ("--loudness-weight=0",)),
    Variant("si-sdr", "SI-SDR in place of SNR", ("--snr-weight=0", "--si-sdr-weight=2.5")),
    Variant("no-rooms", "no simulated rooms", ("--room=0",)),
    Variant("speed", "half of the voices faster or slower", ("--speed=0.5",)),
    Variant("codecs", "a tenth through Opus or MP3", ("--codec=0.1",)),
    Variant("no-ema", "the weights as they are, not averaged", ("--ema-decay=0",)),
    Variant("plain-mixtures", "no augmentation", tuple(f"--{name}=0" for name in AUGMENTATIONS)),
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="what `mbs train` trains on")
    parser.add_argument("--clean", type=Path, required=True, help="references to score against")
    parser.add_argument("--noisy", type=Path, required=True, help="their noisy versions")
    parser.add_argument("--out", type=Path, required=True, help="runs, enhanced files and scores")
    parser.add_argument("--minutes", type=float, default=20.0, help="of processor time each")
    parser.add_argument("--model", default="mbs-net", help="of all variants that name no other")
    parser.add_argument("--init", help="the weights to begin with, as for `mbs train`")
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="runs side by side")
    parser.add_argument("--cache", type=Path, help="decoded audio, as for `mbs train`")
    parser.add_argument("--only", help="names of variants, separated by commas")
    return parser.parse_args()


def chosen(only: str | None) -> list[Variant]:
    names = only.split(",") if only else [variant.name for variant in VARIANTS]
    unknown = set(names) - {variant.name for variant in VARIANTS}
    if unknown:
        sys.exit(f"no such variant: {', '.join(sorted(unknown))}")
    return [variant for variant in VARIANTS if variant.name in {BASELINE, *names}]


def mbs(*arguments: str | Path, log: Path | None = None) -> None:
    """Run `mbs` on one thread; its messages go to `log` or to the terminal."""
    command = [sys.executable, "-m", "mbs_cli", *map(str, arguments)]
    with (log or Path(os.devnull)).open("a") as file:
        messages = file if log else None
        subprocess.run(command, check=True, env=os.environ | ONE_THREAD, stderr=messages)


def weights(options: argparse.Namespace, variant: Variant) -> Path:
    return Path(options.out) / (variant.weights_of or variant.name) / "last.safetensors"


def train(options: argparse.Namespace, variant: Variant) -> None:
    """Train to the end of the budget, from where an earlier call came to."""
    if variant.weights_of or is_trained(options, variant):
        return
    folder = options.out / variant.name
    folder.mkdir(parents=True, exist_ok=True)
    budget = (f"--minutes={options.minutes}", "--clock=cpu", "--validate-minutes=1000")
    cache = ("--cache", options.cache) if options.cache else ()
    resume = ("--resume",) if (folder / "resume.safetensors").exists() else ()
    start = (f"--model={options.model}", *(("--init", options.init) if options.init else ()))
    what = (*start, *budget, *cache, *resume, *variant.train)
    mbs("train", options.data, "--out", folder, *what, log=folder / "log.txt")


def is_trained(options: argparse.Namespace, variant: Variant) -> bool:
    path = weights(options, variant)
    if not path.exists():
        return False
    minutes = 60 * facts(path)["processor_hours"]
    return bool(minutes >= 0.99 * options.minutes)


def facts(path: Path) -> dict[str, Any]:
    """What a checkpoint says about its training, and its parameters."""
    header = read_header(path)
    parameters = 0
    for entry in header.tensors.values():
        size = 1
        for side in entry.shape:
            size *= side
        parameters += size
    training: dict[str, Any] = header.description["training"]
    return {"parameters": parameters, **training}


def score(options: argparse.Namespace, variants: list[Variant]) -> dict[str, Any]:
    """Enhance with every variant and score all of them at once: the content of scores.json."""
    folders = []
    for variant in variants:
        folder = options.out / "enhanced" / variant.name
        path = weights(options, variant)
        mbs(
            "enhance", options.noisy, "-o", folder, "--model", path, "--overwrite", *variant.enhance
        )
        folders.append(folder)
    result = options.out / "scores.json"
    metrics = ",".join(METRICS_SHOWN)
    systems = ("--noisy", options.noisy, *folders)
    mbs("score", options.clean, *systems, "--metrics", metrics, "--json", result)
    content: dict[str, Any] = json.loads(result.read_text())
    return content


def by_file(scores: dict[str, Any], system: int, metric: str) -> dict[str, float]:
    rows = scores["systems"][system]["rows"]
    return {row["name"]: row["values"][metric] for row in rows if metric in row["values"]}


def difference(scores: dict[str, Any], system: int, metric: str) -> str:
    """The mean over files of what a variant adds to the baseline, and half its interval."""
    mine, baseline = by_file(scores, system, metric), by_file(scores, 1, metric)
    values = [mine[name] - baseline[name] for name in mine.keys() & baseline.keys()]
    low, high = bootstrap_interval(sorted(values))
    show = METRICS[metric].show
    return f"{fmean(values):+.3f} +- {show((high - low) / 2)}"


def table(options: argparse.Namespace, variants: list[Variant], scores: dict[str, Any]) -> str:
    """Markdown: absolute values of the noisy input and the baseline, differences of the rest."""
    titles = [METRICS[metric].title for metric in METRICS_SHOWN]
    head = ["variant", "parameters", "clips seen", *titles]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for system, name in enumerate(("noisy input", f"`{options.model}`")):
        values = [by_file(scores, system, metric).values() for metric in METRICS_SHOWN]
        cells = [
            METRICS[metric].show(fmean(v)) for metric, v in zip(METRICS_SHOWN, values, strict=True)
        ]
        known = facts(weights(options, variants[0])) if system else None
        lines.append(row(name, known, cells))
    for system, variant in enumerate(variants[1:], start=2):
        cells = [difference(scores, system, metric) for metric in METRICS_SHOWN]
        lines.append(
            row(f"{variant.name}: {variant.question}", facts(weights(options, variant)), cells)
        )
    return "\n".join(lines)


def row(name: str, known: dict[str, Any] | None, cells: list[str]) -> str:
    size = [f"{known['parameters']:,}", f"{known['clips']:,}"] if known else ["", ""]
    return "| " + " | ".join([name, *size, *cells]) + " |"


def main() -> None:
    options = arguments()
    variants = chosen(options.only)
    with ThreadPoolExecutor(options.at_once) as pool:
        list(pool.map(partial(train, options), variants))
    print(table(options, variants, score(options, variants)))


if __name__ == "__main__":
    main()
