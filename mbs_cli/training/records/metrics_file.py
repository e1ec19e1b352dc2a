"""The figures of a run as a CSV file: one row per report or validation."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from mbs_cli.atomic_file import atomic_file
from mbs_cli.errors import DataError
from mbs_cli.training.events import Report, Validated

_UNKEPT = ("parts", "seconds_left")
FIGURES = tuple(field.name for field in fields(Report) if field.name not in _UNKEPT)
LOSS_PART, VALIDATION, NOISY = "loss_", "valid_", "noisy_"  # in front of what they name

Row = dict[str, str]


class MetricsFile:
    """Appends rows; a resumed run first drops the rows of steps that are done again.

    Columns come in a fixed order: figures, parts of the loss, validation scores, scores of the
    noisy input. A part or metric met for the first time gets a column of its own, empty in the
    rows before. Raises OSError, and DataError for a file that is not such a table.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        self.path = path
        self.columns = list(FIGURES)
        rows: list[Row] = []
        if first_step and path.exists():
            self.columns, rows = _read(path)
            rows = [row for row in rows if int(row["step"]) <= first_step]
        self._write(rows)

    def add(self, event: Report | Validated) -> None:
        """One more row."""
        row = _report_row(event) if isinstance(event, Report) else _validation_row(event)
        if new := [name for name in row if name not in self.columns]:
            _, rows = _read(self.path)
            self.columns = sorted([*self.columns, *new], key=_place)
            self._write([*rows, row])
            return
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerow(row)

    def _write(self, rows: list[Row]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with atomic_file(self.path) as partial:
            partial.write_text(text.getvalue(), encoding="utf-8", newline="")


def read_series(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Every column that holds numbers, as steps and values; raises OSError and DataError."""
    columns, rows = _read(path)
    return {
        name: [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        for name in columns
        if name != "step"
    }


def _read(path: Path) -> tuple[list[str], list[Row]]:
    """Columns and rows, every cell a number or empty; a last row that was cut off is left out."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        lines = [line for line in file if line.endswith("\n")]
    reader = csv.DictReader(lines, restval="")
    try:
        rows = list(reader)
        columns = list(reader.fieldnames or [])
        for row in rows:
            _check_numbers(row)
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: line {reader.line_num} is not a row of figures: {error}",
            "move the file away; a resumed run then begins a new one",
        ) from error
    return columns or list(FIGURES), rows


def _check_numbers(row: Row) -> None:
    int(row["step"])
    for cell in row.values():
        float(cell or 0)


def _place(column: str) -> tuple[int, int]:
    """Sorts columns into their order; those of one kind stay as they were met."""
    if column in FIGURES:
        return 0, FIGURES.index(column)
    kinds = (LOSS_PART, VALIDATION, NOISY)
    return 1 + next((n for n, kind in enumerate(kinds) if column.startswith(kind)), len(kinds)), 0


def _report_row(event: Report) -> Row:
    figures = {name: value for name, value in asdict(event).items() if name in FIGURES}
    return _cells(figures.items()) | _cells(_prefixed(LOSS_PART, event.parts))


def _validation_row(event: Validated) -> Row:
    scores = [*_prefixed(VALIDATION, event.scores), *_prefixed(NOISY, event.noisy_scores)]
    return {"step": str(event.step)} | _cells(scores)


def _prefixed(prefix: str, values: dict[str, float]) -> Iterable[tuple[str, float]]:
    return ((prefix + name, value) for name, value in values.items())


def _cells(values: Iterable[tuple[str, float | int | None]]) -> Row:
    return {
        name: f"{value:.8g}" if isinstance(value, float) else str(value)
        for name, value in values
        if value is not None
    }
