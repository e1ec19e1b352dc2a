"""Tags before the frames of an MP3: ID3 version 2.4 (id3.org/id3v2.4.0-structure, -frames).

Those that libsndfile writes have no letters beyond ASCII.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# By libsndfile's names of the tags; those without a frame of their own are texts with a name.
_TEXT_FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "date": b"TDRC",
    "genre": b"TCON",
    "tracknumber": b"TRCK",
    "copyright": b"TCOP",
    "software": b"TSSE",
}
_UTF_8 = b"\x03"
_NO_LANGUAGE = b"XXX"
_LARGEST_BYTES = 1 << 28  # of a tag: four times seven bits
_BLOCK_BYTES = 1 << 20


def id3_tag(tags: Mapping[str, str]) -> bytes:
    """The tag that holds these, by libsndfile's names; empty where there are none."""
    frames = b"".join(_frame(name, value) for name, value in tags.items() if value)
    if not frames or len(frames) >= _LARGEST_BYTES:
        return b""
    return b"ID3\x04\x00\x00" + _seven_bits(len(frames)) + frames


def _frame(name: str, value: str) -> bytes:
    kind, content = b"TXXX", name.encode() + b"\0"
    if name in _TEXT_FRAMES:
        kind, content = _TEXT_FRAMES[name], b""
    elif name == "comment":
        kind, content = b"COMM", _NO_LANGUAGE + b"\0"
    content = _UTF_8 + content + value.encode(errors="replace")
    return kind + _seven_bits(len(content)) + b"\0\0" + content


def _seven_bits(number: int) -> bytes:
    """Four bytes none of which looks like the start of an MPEG frame."""
    return bytes(number >> 7 * place & 0x7F for place in (3, 2, 1, 0))


def prepend(path: Path, head: bytes) -> None:
    """Write `head` before a file's content, in place. Raises OSError, and then has ruined it."""
    if not head:
        return
    with path.open("r+b") as file:
        end = path.stat().st_size
        while end > 0:
            start = max(0, end - _BLOCK_BYTES)
            file.seek(start)
            block = file.read(end - start)
            file.seek(start + len(head))
            file.write(block)
            end = start
        file.seek(0)
        file.write(head)
