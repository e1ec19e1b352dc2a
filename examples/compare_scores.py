"""Noisy and enhanced side by side: python examples/compare_scores.py CLEAN NOISY ENHANCED.

The three folders hold files of the same names, 16 kHz mono. Exit code 1 if any mean of the
enhanced files is not better than that of the noisy ones, 2 if files are missing.
"""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mbs_cli.scoring.metrics import DEFAULT_METRICS, METRICS, Metric
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import score_pairs
from mbs_cli.scoring.score import Scores

SHOWN = [METRICS[key] for key in DEFAULT_METRICS]


def score_folder(clean: Path, estimates: Path) -> Scores:
    references = sorted(path for path in clean.iterdir() if path.is_file())
    missing = [path.name for path in references if not (estimates / path.name).is_file()]
    if missing or not references:
        print(f"{estimates} lacks {', '.join(missing) or 'files'}", file=sys.stderr)
        sys.exit(2)
    return score_pairs(ScorePair(path.stem, path, estimates / path.name) for path in references)


def side_by_side(metric: Metric, noisy: float | None, enhanced: float | None) -> str:
    return f"{metric.show(noisy)} -> {metric.show(enhanced)}"


def change(metric: Metric, noisy: float | None, enhanced: float | None) -> str:
    if noisy is None or enhanced is None:
        return "n/a"
    colour = "green" if enhanced > noisy else "red"
    return f"[{colour}]{enhanced - noisy:+.{metric.decimals}f}[/]"


def table_of(noisy: Scores, enhanced: Scores) -> Table:
    table = Table(title="noisy -> enhanced")
    table.add_column("file", no_wrap=True)
    for metric in SHOWN:
        table.add_column(f"{metric.title} {metric.unit}".rstrip(), justify="right")
    for before, after in zip(noisy.rows, enhanced.rows, strict=True):
        pairs = [(m, before.values.get(m.key), after.values.get(m.key)) for m in SHOWN]
        table.add_row(before.name, *(side_by_side(*pair) for pair in pairs))
    means = [(metric, noisy.mean(metric.key), enhanced.mean(metric.key)) for metric in SHOWN]
    table.add_section()
    table.add_row("mean", *(side_by_side(*pair) for pair in means), style="bold")
    table.add_row("change", *(change(*pair) for pair in means), style="bold")
    return table


def is_better(noisy: float | None, enhanced: float | None) -> bool:
    return noisy is not None and enhanced is not None and enhanced > noisy


def main() -> int:
    clean, noisy_folder, enhanced_folder = map(Path, sys.argv[1:4])
    noisy, enhanced = (score_folder(clean, folder) for folder in (noisy_folder, enhanced_folder))
    Console().print(table_of(noisy, enhanced))
    for name, scores in (("noisy", noisy), ("enhanced", enhanced)):
        for row in scores.not_scored:
            print(f"{name} {row.name}: {'; '.join(sorted(set(row.reasons.values())))}")
    worse = [m.title for m in SHOWN if not is_better(noisy.mean(m.key), enhanced.mean(m.key))]
    if worse:
        print(f"not better: {', '.join(worse)}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
