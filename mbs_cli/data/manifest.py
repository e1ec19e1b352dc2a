"""A CSV file that says which files belong together, for data that lie in no known folders.

Its first line names the columns, in any order:

- `clean` and `noisy`: a pair; or `clean` and `noise` (and `rir`): material to be mixed, each cell
  a file of its own, empty where a column has fewer files than another;
- `speaker` (perhaps): whose voice `clean` holds;
- `split` (perhaps): train, valid or test; empty is train. Without any valid, speakers are held out.

Paths are relative to the folder of the CSV file, or absolute.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from mbs_cli.data.report import LEFT_OUT, Findings
from mbs_cli.data.speakers import groups_of
from mbs_cli.data.split import Layout, Pair, Recording, Split
from mbs_cli.errors import DataError

_FILE_COLUMNS = ("clean", "noisy", "noise", "rir")
_SPLITS = {
    **dict.fromkeys(("", "train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_HINT = "columns are clean with noisy, or clean with noise (and rir); perhaps speaker and split"

Row = dict[str, str]


def read_manifest(path: Path) -> Layout:
    """The layout that a manifest describes.

    Raises DataError, with the line where there is one, for a file that is no CSV, columns that
    are missing or contradict each other, a split that is none, and a manifest that trains nothing.
    """
    rows, ignored = _read_rows(path)
    is_paired = "noisy" in rows[0][1]
    by_split: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for line, row in rows:
        split = _SPLITS.get(row.get("split", "").lower())
        if split is None:
            raise DataError(
                f"{path}: line {line}: the split is {row['split']!r}",
                "expected train, valid or test",
            )
        by_split[split].append(row)
    kind = "pairs" if is_paired else "speech and noise, mixed on the fly"
    layout = Layout(f"the manifest {path.name}: {kind}", Split())

    def read(lines: list[Row]) -> Split:
        if is_paired:
            return _read_pairs(lines, path.parent, layout.findings)
        return _read_recordings(lines, path.parent)

    layout.train = read(by_split["train"])
    if by_split["valid"]:
        layout.valid = read(by_split["valid"])
        layout.valid_choice = "as given in the manifest"
    _check_complete(path, layout)
    if by_split["test"]:
        layout.notes.append(f"lines of the test split, never trained on: {len(by_split['test'])}")
    if ignored:
        layout.notes.append(f"columns of the manifest that are not used: {', '.join(ignored)}")
    return layout


def is_manifest(path: Path) -> bool:
    """Whether the first line of a file names columns as a manifest has them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = _columns(next(csv.reader(file), []))
    except (OSError, ValueError, csv.Error):
        return False
    return _make_sense(columns)


def _columns(first_line: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in first_line]


def _make_sense(columns: list[str]) -> bool:
    return "clean" in columns and ("noisy" in columns) != ("noise" in columns)


def _read_rows(path: Path) -> tuple[list[tuple[int, Row]], list[str]]:
    """Every line with its number, by column, and the columns that mean nothing here."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            columns = _columns(reader.fieldnames or ())
            reader.fieldnames = columns
            rows = [
                (reader.line_num, {key: str(value).strip() for key, value in row.items()})
                for row in reader
            ]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}", _HINT) from error
    if not _make_sense(columns):
        raise DataError(f"{path}: its columns are {', '.join(columns) or 'none'}", _HINT)
    if any("\0" in value for _, row in rows for value in row.values()):
        raise DataError(f"{path}: holds NUL bytes, which are part of no file name", _HINT)
    if not rows:
        raise DataError(f"{path}: there is no line below the names of the columns", _HINT)
    used = (*_FILE_COLUMNS, "speaker", "split")
    return rows, [name for name in columns if name and name not in used]


def _check_complete(path: Path, layout: Layout) -> None:
    for name, split in (("train", layout.train), ("valid", layout.valid)):
        if split is not None and not split.pairs and not (split.clean and split.noise):
            raise DataError(
                f"{path}: the {name} split lacks clean, noisy or noise files",
                "give it at least one pair, or one file of speech and one of noise",
            )


def _read_pairs(rows: list[Row], folder: Path, findings: Findings) -> Split:
    whole = []
    for row in rows:
        if row["clean"] and row["noisy"]:
            whole.append(row)
        elif row["clean"] or row["noisy"]:
            findings.add("no partner", LEFT_OUT, folder / (row["clean"] or row["noisy"]))
    groups = _groups(whole, "clean")
    return Split(
        pairs=[
            Pair(folder / row["clean"], folder / row["noisy"], group)
            for row, group in zip(whole, groups, strict=True)
        ]
    )


def _read_recordings(rows: list[Row], folder: Path) -> Split:
    def column(name: str) -> list[Recording]:
        filled = [row for row in rows if row.get(name)]
        groups = _groups(filled, name)
        files = {folder / row[name]: group for row, group in zip(filled, groups, strict=True)}
        return [Recording(file, group) for file, group in files.items()]

    return Split(clean=column("clean"), noise=column("noise"), rir=column("rir"))


def _groups(rows: list[Row], column: str) -> list[str]:
    """The speakers given; where none is, by folder and name as everywhere."""
    guessed = groups_of([Path(row[column]).as_posix() for row in rows])
    if column != "clean":
        return guessed
    return [row.get("speaker") or guess for row, guess in zip(rows, guessed, strict=True)]
