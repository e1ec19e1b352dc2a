"""The figures of a run as a CSV file: one row per report or validation."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mbs_cli.atomic_file import atomic_file
from mbs_cli.training.config import WEIGHTS
from mbs_cli.training.events import Report, Validated

COLUMNS = (
    "step",
    "loss",
    *WEIGHTS,
    "gradient_norm",
    "learning_rate",
    "clips_per_second",
    "data_wait_share",
    "skipped_steps",
    "valid_pesq_wb",
    "valid_stoi",
    "valid_si_sdr",
)


class MetricsFile:
    """Appends rows; a resumed run first drops the rows of steps that are done again."""

    def __init__(self, path: Path, first_step: int) -> None:
        self.path = path
        rows: list[dict[str, str]] = []
        if first_step and path.exists():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= first_step]
        self._write(rows)

    def _write(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
        with atomic_file(self.path) as partial:
            partial.write_text(text.getvalue())

    def add(self, event: Report | Validated) -> None:
        """One more row."""
        row: dict[str, object] = {"step": event.step}
        if isinstance(event, Validated):
            row |= {f"valid_{name}": f"{value:.4f}" for name, value in event.scores.items()}
        else:
            figures = {name: getattr(event, name, None) for name in COLUMNS} | event.parts
            row |= {name: f"{value:.6g}" for name, value in figures.items() if value is not None}
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)
