"""Files that were cut short: a broken download, a full disk, a recorder that lost power.

libsndfile reads what is there and stays silent, so half a file would be taken for a whole one. The
same goes for a header that tells of less sound than there is.
"""

from __future__ import annotations

import re
from pathlib import Path

import soundfile

from mbs_cli.audio.pcm import SAMPLE_BYTES

# libsndfile's log of a header: "data : 163200 (should be 97902)".
_SIZE_MISMATCH = re.compile(r"^\s*(\w[\w ]*?)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)

# Promised by programs that pipe a file out and cannot go back to fill in its size.
_UNKNOWN_SIZES = (0x7FFFF000, 0x80000000, 0xFFFFF000)  # sox, arecord, ffmpeg
_UNKNOWN_SIZE_SPREAD = 0x1000

# Its word for something that is no chunk: sound beyond what the header tells of, or junk.
_NO_CHUNK = "Exiting parser"
_TOLERATED_BYTES = 4096  # headers, and what some programs append, such as an ID3 tag

_OGG_CAPTURE = b"OggS"
_OGG_HEADER_BYTES = 27
_OGG_LARGEST_PAGE_BYTES = 65_307
_OGG_END_OF_STREAM = 0x04


def find_truncation(path: Path, sound: soundfile.SoundFile) -> str:
    """Say what is wrong with a file that libsndfile opened, or "" if nothing is."""
    for name, promised, found in _SIZE_MISMATCH.findall(sound.extra_info):
        if int(found) < int(promised) and not means_unknown_size(int(promised)):
            return (
                f"the file is cut short (its header promises {promised} bytes of "
                f"{name.strip()!r}, {found} are there)"
            )
    if sound.format == "OGG" and not _ends_with_last_ogg_page(path):
        return "the file is cut short (its last Ogg page is missing)"
    more_bytes = _unexplained_bytes(path, sound)
    if more_bytes > _TOLERATED_BYTES:
        return f"its header is wrong (about {more_bytes} bytes follow the sound that it tells of)"
    return ""


def _unexplained_bytes(path: Path, sound: soundfile.SoundFile) -> int:
    """How much the file holds beside its sound, if libsndfile cannot tell what it is."""
    if sound.subtype not in SAMPLE_BYTES:
        return 0
    if _NO_CHUNK not in sound.extra_info and sound.format != "AU":
        return 0
    sound_bytes: int = sound.frames * sound.channels * SAMPLE_BYTES[sound.subtype]
    return path.stat().st_size - sound_bytes


def means_unknown_size(size: int) -> bool:
    """Whether a program that pipes a WAV out promises so many bytes for want of a true number."""
    return any(start <= size < start + _UNKNOWN_SIZE_SPREAD for start in _UNKNOWN_SIZES)


def _ends_with_last_ogg_page(path: Path) -> bool:
    """Whether the last page carries the end-of-stream flag and is whole (RFC 3533, section 6)."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _OGG_LARGEST_PAGE_BYTES))
        end = stream.read()
    page = end[max(0, end.rfind(_OGG_CAPTURE)) :]
    if len(page) < _OGG_HEADER_BYTES:
        return False
    flags, segments = page[5], page[26]
    sizes = page[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + segments]
    is_whole = len(page) >= _OGG_HEADER_BYTES + segments + sum(sizes)
    return is_whole and bool(flags & _OGG_END_OF_STREAM)
