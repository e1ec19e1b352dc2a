"""A table of files: which to enhance, and how it went with each. Imports nothing heavy.

A CSV file with a header, as any program saves it: in UTF-8, its columns apart by commas or
semicolons. To name files only `path` is needed; columns of the user's own stay.

    path     the input
    output   the file that is made of it
    status   done, skipped (its output was there already) or failed
    seconds  of audio
    gain_db  the gain that the whole file was given to fit its format
    error    what went wrong
"""

from __future__ import annotations

import csv
import functools
import io
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mbs_cli.atomic_file import atomic_file
from mbs_cli.enhancement.plan import Job, with_suffix
from mbs_cli.enhancement.report import Event, FileReport, Finished, Listener, Status
from mbs_cli.errors import UsageError

COLUMNS = ("path", "output", "status", "seconds", "gain_db", "error")
_ENCODING = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}  # any file name
_HEADER_HINT = "the first line names the columns: path, or " + ",".join(COLUMNS)
_DELIMITERS = (",", ";")  # a spreadsheet saves semicolons where numbers have decimal commas
_BYTE_ORDER_MARK = "\ufeff"  # Excel begins UTF-8 with it, and takes what has none for Latin-1

Row = dict[str, str]


@dataclass(frozen=True)
class _Style:
    """How the program of a user writes a table: what we write back is for the same one."""

    delimiter: str = ","
    start: str = ""


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest. Raises UsageError for a file that cannot be read or is none."""
    return _read(path)[0]


def _read(path: Path) -> tuple[list[Row], _Style]:
    try:
        with path.open(**_ENCODING) as file:  # type: ignore[call-overload]
            text = file.read()
        bare = text.removeprefix(_BYTE_ORDER_MARK)
        style = _Style(_delimiter(path, bare), text[: len(text) - len(bare)])
        lines = io.StringIO(bare, newline="")
        rows = list(csv.DictReader(lines, restval="", strict=True, delimiter=style.delimiter))
    except (OSError, csv.Error) as error:
        raise UsageError(f"--manifest {path}: cannot be read ({error})") from error
    for line, row in enumerate(rows, start=2):
        if not row["path"] or None in row or "\0" in row["path"] + row.get("output", ""):
            raise UsageError(
                f"--manifest {path}: row {line} names no file in its column 'path', or has more "
                "columns than the header",
                _HEADER_HINT,
            )
    return rows, style


def _delimiter(path: Path, text: str) -> str:
    """The one between the columns, of which one is `path`; an empty table has any."""
    headers = {
        delimiter: next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), ["path"])
        for delimiter in _DELIMITERS
    }
    found = [delimiter for delimiter, columns in headers.items() if "path" in columns]
    if not found:
        columns = max(headers.values(), key=len)
        raise UsageError(
            f"--manifest {path}: no column 'path' among its columns {', '.join(columns)}",
            _HEADER_HINT,
        )
    return found[0]


def listed_jobs(rows: Sequence[Row], output: Path, suffix: str | None) -> list[Job]:
    """The jobs that a manifest names.

    An input without an `output` goes to the folder `output`, with `suffix` if one is given, the
    tree below the folder that all inputs have in common being kept. Raises UsageError for an
    output that is not in that folder or has the suffix of another format.
    """
    common = _common_folder([row["path"] for row in rows])
    inside = _absolute(output)
    jobs = []
    for row in rows:
        source = Path(row["path"])
        usual = with_suffix(output / source.relative_to(common), suffix)
        target = Path(row.get("output") or usual)
        _check_suffix(target, usual)
        if not _absolute(target).is_relative_to(inside):
            raise UsageError(
                f"{target}: a manifest's output lies outside of the output folder {output}",
                "correct the column 'output', or leave it empty",
            )
        jobs.append(Job(source, target))
    return jobs


def _check_suffix(target: Path, usual: Path) -> None:
    if target.suffix.lower() != usual.suffix.lower():
        raise UsageError(
            f"{target}: a manifest's output has another suffix than {usual.name} would get",
            "leave the column 'output' empty, or give the --format that it was made with",
        )


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(Path.cwd() / path))


def _common_folder(paths: Sequence[str]) -> str:
    try:
        return os.path.commonpath([Path(path).parent for path in paths]) if paths else ""
    except ValueError as error:
        raise UsageError(
            "a manifest names files by absolute and by relative paths", "name all in one way"
        ) from error


def table_of_shard(manifest: Path, number: int, count: int) -> Path:
    """Where a run keeps its table: the manifest, or a file of its own beside it for each shard."""
    if count == 1:
        return manifest
    return manifest.with_name(f"{manifest.stem}.{number}-of-{count}{manifest.suffix}")


@contextmanager
def kept_manifest(path: Path | None) -> Iterator[Listener]:
    """A listener that keeps the manifest at `path` up to date, if one is wanted.

    Every file that is finished is a line added at once, so that a kill at any moment loses none;
    at the end every row is there once. Raises UsageError for a table that cannot be read
    or written.
    """
    if path is None:
        yield lambda _: None
        return
    is_there = os.path.exists(path)  # noqa: PTH110 - that one raises for a name too long
    rows, style = _read(path) if is_there else ([], _Style())
    table = _Table(path, rows, style)
    table.write_all()
    yield table.listen
    table.write_all()


class _Table:
    """A manifest in memory and on the disk."""

    def __init__(self, path: Path, rows: Sequence[Row], style: _Style) -> None:
        self._path, self._style = path, style
        self._rows: list[Row] = []
        self._by_path: defaultdict[str, list[Row]] = defaultdict(list)
        self._by_facts: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
        self._names = list(dict.fromkeys([*COLUMNS, *(name for row in rows[:1] for name in row)]))
        for row in rows:
            self._add(row)

    def _add(self, row: Row) -> None:
        """A row more, unless it tells on of one that is there, as the lines of a killed run do.

        A user may have several rows for a file, such as one for each of its sentences.
        """
        path = str(Path(row["path"]))
        own = (row.get(name, "") for name in self._names if name not in COLUMNS)
        alike = self._by_facts[(path, *own)]
        for earlier in alike:
            if _is_output(earlier, row.get("output", "")):
                earlier.update(row)
                return
        alike.append(row)
        self._rows.append(row)
        self._by_path[path].append(row)

    def listen(self, event: Event) -> None:
        """Add a line for a file that is finished, for every row of it."""
        if not isinstance(event, Finished):
            return
        found = _row_of(event.report)
        rows = [row for row in self._by_path[found["path"]] if _is_output(row, found["output"])]
        if not rows:
            rows = [dict.fromkeys(self._names, "") | {"path": found["path"]}]
            self._add(rows[0])
        changed = [
            row
            for row in rows
            # What is known of a file that was done before says more than that it was skipped.
            if (event.report.status, row.get("status")) != (Status.SKIPPED, Status.DONE)
        ]
        for row in changed:
            row.update(found)
        with self._writing(), self._path.open("ab", buffering=0) as file:  # in one piece
            file.write(self._lines(changed))

    def write_all(self) -> None:
        """All rows, each once."""
        header = dict(zip(self._names, self._names, strict=True))
        with self._writing(), atomic_file(self._path, durable=True) as partial:
            lines = self._lines([header, *self._rows])
            partial.write_bytes(self._style.start.encode() + lines)

    def _lines(self, rows: Sequence[Row]) -> bytes:
        text = io.StringIO(newline="")
        writer = functools.partial(
            csv.DictWriter,
            text,
            self._names,
            restval="",
            lineterminator="\n",
            delimiter=self._style.delimiter,
        )
        plain, quoted = writer(quoting=csv.QUOTE_MINIMAL), writer(quoting=csv.QUOTE_ALL)
        for row in rows:
            # A carriage return in a name ends a row for readers, and is not quoted by itself.
            has_return = any("\r" in value for value in row.values())
            (quoted if has_return else plain).writerow(row)
        return text.getvalue().encode("utf-8", "surrogateescape")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(
                f"--manifest {self._path}: cannot be written ({error.strerror})",
                "choose another place; files that are done are skipped by the next run",
            ) from error


def _is_output(row: Row, output: str) -> bool:
    """Whether a row is about that output, which it may not name yet; "" is any."""
    named = row.get("output")
    return not named or not output or Path(named) == Path(output)


def _row_of(report: FileReport) -> Row:
    return {
        "path": str(report.source),
        "output": str(report.target or ""),
        "status": str(report.status),
        "seconds": f"{report.seconds:.6f}" if report.status is not Status.SKIPPED else "",
        "gain_db": f"{report.gain_db:.3f}" if report.status is Status.DONE else "",
        "error": str(report.failure or ""),
    }
