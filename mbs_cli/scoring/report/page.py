"""One comparison as one HTML file that needs no network: scores to sort, files to hear.

Everything that comes from outside (file names, reasons, paths) reaches the page as JSON and is
shown as text nodes only. The page's security policy allows its own script, its own style and
embedded images and nothing else, so a name that found a way around would still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from mbs_cli.atomic_file import atomic_file, check_creatable
from mbs_cli.errors import UsageError
from mbs_cli.scoring.comparison import Comparison
from mbs_cli.scoring.report.selection import files_to_hear
from mbs_cli.scoring.report.versions import media_of, versions_of
from mbs_cli.scoring.report.view import view_of

DEFAULT_MAX_FILES = 20
DEFAULT_TITLE = "Speech enhancement scores"

_SUFFIXES = frozenset({".html", ".htm"})
_ASSETS = resources.files(__package__) / "assets"
_SCRIPTS = (
    "dom.js",
    "store.js",
    "report.js",
    "format.js",
    "summary.js",
    "plot.js",
    "distribution.js",
    "scatter.js",
    "extremes.js",
    "file_table.js",
    "player.js",
    "spectrograms.js",
    "listening.js",
    "main.js",
)
_MEDIA_MARK = "<!-- media -->"


def check_report_path(path: Path) -> None:
    """Raise UsageError, before any work, unless a page may be written there.

    The suffix keeps a slip of the keyboard from replacing a recording.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{path}: a report is an HTML file", f"name it {path.name}.html")
    if os.path.isdir(path):  # noqa: PTH112 - that one may raise
        raise UsageError(f"{path}: this is a folder", "name a file in it, e.g. report.html")
    try:
        check_creatable(path)
    except OSError as error:
        raise _not_writable(path, error) from error


def write_report(
    comparison: Comparison,
    path: Path,
    max_files: int = DEFAULT_MAX_FILES,
    title: str = DEFAULT_TITLE,
) -> None:
    """Write the page, all or nothing.

    Args:
        comparison: what to show.
        path: the HTML file; one that exists is replaced.
        max_files: how many files the page carries with sound and spectrograms: the worst, the
            best and the typical ones by every metric. A file of 5 s in three versions takes
            about half a megabyte; of longer files the page carries the first 20 s.
        title: the heading.

    Raises:
        UsageError: the path has no HTML suffix or cannot be written.
    """
    check_report_path(path)
    try:
        with (
            atomic_file(path) as partial,
            partial.open("w", encoding="ascii", newline="\n") as file,
        ):
            file.writelines(_pieces(comparison, max_files, title))
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: the report cannot be written ({error.strerror})", "choose another place"
    )


def _pieces(comparison: Comparison, max_files: int, title: str) -> Iterator[str]:
    """The page from its first to its last character, one file's sounds and images at a time."""
    head, tail = _read("page.html").split(_MEDIA_MARK)
    style = _read("page.css")
    script = "".join(map(_read, _SCRIPTS))
    heard = files_to_hear(comparison, max_files)
    yield Template(head).substitute(policy=_policy(script, style), style=style)
    for place, name in enumerate(heard):
        yield _data_block(f"clip-{place}", media_of(versions_of(comparison, name)))
    yield _data_block("report", view_of(comparison, heard, title))
    yield Template(tail).substitute(script=script)


def _read(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="ascii")


def _data_block(identifier: str, value: Any) -> str:
    """A value that the script reads and that no text in it can end or escape from."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    harmless = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="{identifier}">{harmless}</script>\n'


def _policy(script: str, style: str) -> str:
    """The content security policy: no network, and nothing runs but this very script."""
    rules: Iterable[str] = (
        "default-src 'none'",
        "img-src data:",
        f"script-src {_source_hash(script)}",
        f"style-src {_source_hash(style)}",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
