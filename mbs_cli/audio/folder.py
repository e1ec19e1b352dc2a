"""The audio files of a folder, and their names whatever their format. Imports nothing heavy."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath

from mbs_cli.audio.suffixes import AUDIO_SUFFIXES


def audio_files(folder: Path, suffixes: AbstractSet[str] = AUDIO_SUFFIXES) -> Iterator[Path]:
    """The audio files in `folder` and all below it, in no order; hidden ones are passed over."""
    found = audio_names(folder, suffixes)
    return (folder / place / name for place, names in found for name in names)


def audio_names(
    folder: Path, suffixes: AbstractSet[str] = AUDIO_SUFFIXES
) -> Iterator[tuple[Path, list[str]]]:
    """Likewise, by folder: its path from `folder` on, and the names in it. Fast for 100,000."""
    for parent, _, names in os.walk(folder):
        found = [name for name in names if _has_suffix(name, suffixes)]
        if found:
            yield Path(parent).relative_to(folder), found


def _has_suffix(name: str, suffixes: AbstractSet[str]) -> bool:
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - paths take much longer
    return suffix in suffixes and not name.startswith(".")


def audio_name(path: Path) -> str:
    """A relative path without its suffix: what two files that belong together agree in.

    Letters that file systems compose differently have one spelling.
    """
    return unicodedata.normalize("NFC", str(PurePosixPath(*path.with_suffix("").parts)))
