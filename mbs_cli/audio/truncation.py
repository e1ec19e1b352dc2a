"""Files that were cut short: a broken download, a full disk, a recorder that lost power.

libsndfile reads what is there and stays silent, so half a file would be taken for a whole one.
"""

from __future__ import annotations

import re
from pathlib import Path

# libsndfile's log of a header: "data : 163200 (should be 97902)".
_SIZE_MISMATCH = re.compile(r"^\s*(\w[\w ]*?)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)

# Promised by programs that pipe a file out and cannot go back to fill in its size.
_UNKNOWN_SIZES = (0x7FFFF000, 0xFFFFF000)
_UNKNOWN_SIZE_SPREAD = 0x1000

_OGG_CAPTURE = b"OggS"
_OGG_HEADER_BYTES = 27
_OGG_LARGEST_PAGE_BYTES = 65_307
_OGG_END_OF_STREAM = 0x04


def find_truncation(path: Path, container: str, log: str) -> str:
    """Say what is missing, or "" if nothing is. `log` is libsndfile's log of the header."""
    for name, promised, found in _SIZE_MISMATCH.findall(log):
        if int(found) < int(promised) and not _means_unknown(int(promised)):
            return f"its header promises {promised} bytes of {name.strip()!r}, {found} are there"
    if container == "OGG" and not _ends_with_last_ogg_page(path):
        return "its last Ogg page is missing"
    return ""


def _means_unknown(size: int) -> bool:
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
