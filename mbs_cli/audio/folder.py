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
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in suffixes and not name.startswith("."):
                yield path


def audio_name(path: Path) -> str:
    """A relative path without its suffix: what two files that belong together agree in.

    Letters that file systems compose differently have one spelling.
    """
    return unicodedata.normalize("NFC", str(PurePosixPath(*path.with_suffix("").parts)))
