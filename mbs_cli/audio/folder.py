"""The audio files of a folder, and their names whatever their format. Imports nothing heavy."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath
from typing import NoReturn

from mbs_cli.audio.suffixes import AUDIO_SUFFIXES
from mbs_cli.errors import AudioError


def _refuse_all(_folder: Path, error: AudioError) -> NoReturn:
    raise error


def audio_files(folder: Path, suffixes: AbstractSet[str] = AUDIO_SUFFIXES) -> Iterator[Path]:
    """The audio files in `folder` and all below it, in no order; hidden ones are passed over.

    Links to folders are followed. Raises AudioError for a folder that cannot be read.
    """
    found = audio_names(folder, suffixes)
    return (folder / place / name for place, names in found for name in names)


def audio_names(
    folder: Path,
    suffixes: AbstractSet[str] = AUDIO_SUFFIXES,
    refuse: Callable[[Path, AudioError], None] = _refuse_all,
) -> Iterator[tuple[Path, list[str]]]:
    """Likewise, by folder: its path from `folder` on, and the names in it. Fast for 100,000.

    `refuse` is told of each folder that cannot be read.
    """

    def tell(error: OSError) -> None:
        refuse(
            Path(error.filename),
            AudioError(
                f"{error.filename}: this folder cannot be read ({error.strerror})",
                "change its permissions, or name what is to be read without it",
            ),
        )

    above = {folder: frozenset[object]()}  # what each folder lies in, to notice a loop of links
    for parent, inner, names in os.walk(folder, onerror=tell, followlinks=True):
        place = Path(parent)
        line = above.pop(place) | {file_identity(place)}
        inner[:] = [name for name in inner if file_identity(place / name) not in line]
        above |= {place / name: line for name in inner}
        found = [name for name in names if _has_suffix(name, suffixes)]
        if found:
            yield place.relative_to(folder), found


def file_identity(path: Path) -> tuple[int, int] | None:
    """What makes two paths the same file: device and inode, or None if nothing is there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _has_suffix(name: str, suffixes: AbstractSet[str]) -> bool:
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - paths take much longer
    return suffix in suffixes and not name.startswith(".")


def audio_name(path: Path) -> str:
    """A relative path without its suffix: what two files that belong together agree in.

    Letters that file systems compose differently have one spelling.
    """
    return unicodedata.normalize("NFC", str(PurePosixPath(*path.with_suffix("").parts)))
