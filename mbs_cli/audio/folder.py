"""The audio files of a folder, and their names whatever their format. Imports nothing heavy."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mbs_cli.audio.suffixes import AUDIO_SUFFIXES


def audio_files(folder: Path) -> Iterator[Path]:
    """The audio files in `folder` and all below it, in no order; hidden ones are passed over."""
    return (folder.joinpath(*parts) for parts in audio_file_parts(folder))


def audio_file_parts(folder: Path) -> Iterator[tuple[str, ...]]:
    """Likewise, the parts of each path below `folder`: much faster to make and to sort."""
    for parent, _, names in os.walk(folder):
        above = Path(parent).relative_to(folder).parts
        for name in names:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - faster, 100,000 times
            if suffix in AUDIO_SUFFIXES and not name.startswith("."):
                yield *above, name


def audio_name(path: Path) -> str:
    """A relative path without its suffix: what two files that belong together agree in.

    Letters that file systems compose differently have one spelling.
    """
    return unicodedata.normalize("NFC", str(PurePosixPath(*path.with_suffix("").parts)))
