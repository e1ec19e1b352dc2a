"""What a file says of its sound: title, artist, and the like, by libsndfile's names and ffmpeg's.

Both know some names that the other lacks; what both know goes from one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import soundfile

_FFMPEG_NAMES = {
    "title": "title",
    "artist": "artist",
    "album": "album",
    "date": "date",
    "genre": "genre",
    "tracknumber": "track",
    "comment": "comment",
    "copyright": "copyright",
    "license": "license",
}
_LONGEST_BYTES = 65_536  # a system refuses to start a program with an argument much longer


def native_tags(sound: soundfile.SoundFile) -> dict[str, str]:
    """The tags of a file that libsndfile reads.

    Text that is not UTF-8 is in Windows' Latin letters, as old programs write it into WAVs.
    """
    tags: dict[str, str] = sound.copy_metadata()
    return {
        name: _windows_text(sound, name) if "\N{REPLACEMENT CHARACTER}" in value else value
        for name, value in tags.items()
    }


def _windows_text(sound: soundfile.SoundFile, name: str) -> str:
    """A tag whose bytes soundfile, which hands out none, took for UTF-8."""
    number = soundfile._str_types[name]  # noqa: SLF001 - there is no public way to the bytes
    content = soundfile._snd.sf_get_string(sound._file, number)  # noqa: SLF001 - likewise
    found: bytes = soundfile._ffi.string(content)  # noqa: SLF001 - likewise
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found.decode("cp1252", errors="replace")


def from_ffmpeg(tags: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a whole file as ffprobe tells them; some containers have capital letters."""
    told = {name.lower(): str(value) for name, value in tags.items()}
    return {ours: told[theirs] for ours, theirs in _FFMPEG_NAMES.items() if told.get(theirs)}


def ffmpeg_options(tags: Mapping[str, str]) -> list[str]:
    """The arguments that give an output its tags."""
    options = []
    for ours, theirs in _FFMPEG_NAMES.items():
        value = tags.get(ours, "")
        if value and len(value.encode()) <= _LONGEST_BYTES:
            options += ["-metadata", f"{theirs}={value}"]
    return options
