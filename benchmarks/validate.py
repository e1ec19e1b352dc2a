"""How much a model improves a folder of noisy speech, with the uncertainty of each mean.

    python benchmarks/validate.py --clean DIR --noisy DIR [--model NAME_OR_PATH] [--json FILE]

The folders hold 16 kHz mono files of the same names. The noisy ones are enhanced in memory and
scored beside the unprocessed input; names that end in `_m5db`, `_0db`, ... are also grouped by
their signal-to-noise ratio. DNSMOS joins in where `speechmos` and `onnxruntime` are installed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import soundfile
from rich.console import Console
from rich.table import Table

from mbs_cli import __version__, enhance_array, load_model
from mbs_cli.models.checkpoint import file_sha256
from mbs_cli.models.shipped import resolve_model
from mbs_cli.scoring.interval import bootstrap_interval
from mbs_cli.scoring.metrics import METRICS, Metric
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import score_pairs
from mbs_cli.scoring.score import PairScore, Scores

ALWAYS = ("pesq_wb", "stoi", "estoi", "si_sdr")
OPTIONAL = ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl")
SNR_SUFFIX = re.compile(r"_(m?)(\d+)db$")


@dataclass(frozen=True)
class Estimate:
    """A mean and the ends of its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Estimate | None:
        """That of some values; None if there are none."""
        return cls(fmean(values), *bootstrap_interval(values)) if values else None

    def show(self, metric: Metric) -> str:
        """For example `1.48 +- 0.11`: the mean and half the width of its interval."""
        return f"{metric.show(self.mean)} +- {metric.show((self.high - self.low) / 2)}"


class EnhancedFolder:
    """Draws pairs of clean file and enhanced array, and counts the time that enhancing takes."""

    def __init__(self, pairs: list[ScorePair], model: str) -> None:
        self.pairs, self.model = pairs, load_model(model)
        self.audio_seconds = self.busy_seconds = 0.0

    def __iter__(self) -> Iterator[ScorePair]:
        for pair in self.pairs:
            samples, sample_rate_hz = soundfile.read(pair.estimate, dtype="float32")
            started = time.perf_counter()
            enhanced = enhance_array(samples, sample_rate_hz, model=self.model)
            self.busy_seconds += time.perf_counter() - started
            self.audio_seconds += len(samples) / sample_rate_hz
            yield ScorePair(pair.name, pair.reference, enhanced)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clean", type=Path, required=True, help="folder of references")
    parser.add_argument("--noisy", type=Path, required=True, help="folder of inputs, same names")
    parser.add_argument("--model", default="mbs-net", help="a preset or a checkpoint's path")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    parser.add_argument("--jobs", type=int, help="scoring processes (default: all cores)")
    return parser.parse_args()


def noisy_pairs(clean: Path, noisy: Path) -> list[ScorePair]:
    pairs = [
        ScorePair(path.stem, clean / path.name, path)
        for path in sorted(noisy.glob("*"))
        if (clean / path.name).is_file()
    ]
    if not pairs:
        sys.exit(f"{noisy} and {clean} have no file names in common")
    return pairs


def tell(label: str, total: int) -> Any:
    """A progress line on standard error that rewrites itself, if that is a terminal."""

    def on_scored(done: int, row: PairScore) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r{label}: {done} of {total}", end=end, file=sys.stderr, flush=True)
        for reason in sorted(set(row.reasons.values())):
            print(f"{label} {row.name}: {reason}", file=sys.stderr)

    return on_scored


def difference(metric: str, noisy: Scores, enhanced: Scores) -> list[float]:
    """What enhancing changes, for each file that has both values."""
    return [
        after.values[metric] - before.values[metric]
        for before, after in zip(noisy.rows, enhanced.rows, strict=True)
        if metric in before.values and metric in after.values
    ]


def summary(noisy: Scores, enhanced: Scores) -> dict[str, dict[str, Estimate | None]]:
    return {
        metric: {
            "noisy": Estimate.of(noisy.values(metric)),
            "enhanced": Estimate.of(enhanced.values(metric)),
            "change": Estimate.of(difference(metric, noisy, enhanced)),
        }
        for metric in noisy.metrics
    }


def by_snr(scores: Scores) -> dict[int, Scores]:
    """The rows whose names tell their SNR, by SNR in dB."""
    groups: dict[int, list[PairScore]] = {}
    for row in scores.rows:
        if found := SNR_SUFFIX.search(row.name):
            snr_db = int(found[2]) * (-1 if found[1] else 1)
            groups.setdefault(snr_db, []).append(row)
    return {key: Scores(scores.metrics, tuple(groups[key])) for key in sorted(groups)}


def show_summary(table_of: dict[str, dict[str, Estimate | None]], title: str) -> Table:
    table = Table(title=title)
    for column in ("mean, 95 %", "noisy", "enhanced", "change"):
        table.add_column(column, justify="right")
    for key, columns in table_of.items():
        metric = METRICS[key]
        cells = [estimate.show(metric) if estimate else "n/a" for estimate in columns.values()]
        table.add_row(f"{metric.title} {metric.unit}".rstrip(), *cells)
    return table


def show_by_snr(noisy: Scores, enhanced: Scores) -> Table:
    table = Table(title="by signal-to-noise ratio: noisy -> enhanced")
    table.add_column("SNR dB", justify="right")
    for key in ALWAYS:
        table.add_column(METRICS[key].title, justify="right")
    after = by_snr(enhanced)
    for snr_db, before in by_snr(noisy).items():
        cells = [
            f"{METRICS[key].show(before.mean(key))} -> {METRICS[key].show(after[snr_db].mean(key))}"
            for key in ALWAYS
        ]
        table.add_row(str(snr_db), *cells)
    return table


def report(model: str, noisy: Scores, enhanced: Scores, real_time_factor: float) -> dict[str, Any]:
    """Everything that is shown, and each file, as JSON can hold it."""
    return {
        "mbs_version": __version__,
        "model": model,
        "model_sha256": file_sha256(resolve_model(model)),
        "real_time_factor": real_time_factor,
        "scored": {"noisy": noisy.summary, "enhanced": enhanced.summary},
        "summary": {
            metric: {column: asdict(e) if e else None for column, e in columns.items()}
            for metric, columns in summary(noisy, enhanced).items()
        },
        "by_snr_db": {
            name: {snr_db: group.means() for snr_db, group in by_snr(scores).items()}
            for name, scores in (("noisy", noisy), ("enhanced", enhanced))
        },
        "files": {
            "noisy": [asdict(row) for row in noisy.rows],
            "enhanced": [asdict(row) for row in enhanced.rows],
        },
    }


def main() -> None:
    options = arguments()
    has_dnsmos = bool(find_spec("speechmos") and find_spec("onnxruntime"))
    metrics = ALWAYS + OPTIONAL if has_dnsmos else ALWAYS
    pairs = noisy_pairs(options.clean, options.noisy)
    noisy = score_pairs(pairs, metrics, options.jobs, tell("noisy", len(pairs)))
    folder = EnhancedFolder(pairs, options.model)
    enhanced = score_pairs(folder, metrics, options.jobs, tell("enhanced", len(pairs)))

    console = Console()
    real_time_factor = folder.busy_seconds / folder.audio_seconds
    title = f"{options.model}: {enhanced.summary}, real-time factor {real_time_factor:.3f}"
    console.print(show_summary(summary(noisy, enhanced), title))
    if by_snr(noisy):
        console.print(show_by_snr(noisy, enhanced))
    if options.json:
        content = report(options.model, noisy, enhanced, real_time_factor)
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
