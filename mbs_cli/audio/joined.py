"""Files that hold several sounds one behind the other: `cat a.ogg b.ogg`, a radio's recording.

libsndfile decodes the first alone without a word, or nothing, and ffmpeg gets all of them from Ogg
only. MPEG, a chain of frames without a beginning of the file, has a module of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mbs_cli.audio.ffmpeg import convert_hint
from mbs_cli.errors import AudioError

_BLOCK_BYTES = 1 << 20

# The start of a page (RFC 3533, section 6) with its flags, and of a FLAC stream (RFC 9639, 8.1).
_OGG_PAGE = re.compile(rb"OggS\0([\0-\7])", re.DOTALL)
_OGG_FIRST_PAGE = 0x02
_FLAC_START = re.compile(rb"fLaC[\x00\x80]\0\0\x22")
_LONGEST_START = 8

# Files of chunks, by their first bytes: where the first chunk begins, its header, and what its
# length is rounded up to.
_CHUNK_FILES = {
    b"RIFF": (12, struct.Struct("<4sI"), 2),
    b"RIFX": (12, struct.Struct(">4sI"), 2),
    b"FORM": (12, struct.Struct(">4sI"), 2),
    b"caff": (8, struct.Struct(">4sq"), 1),
}
STARTS = (*_CHUNK_FILES, b"RF64")
_VIDEO = b"AVI "  # which goes on in a second RIFF past 1 GiB


def check_single(path: Path) -> None:
    """Raises AudioError for a WAV, AIFF, CAF, Ogg or FLAC file that holds more than one sound."""
    with path.open("rb") as stream:
        magic = stream.read(4)
        if magic == b"OggS" and _has_second_ogg(stream):
            raise AudioError(
                f"{path}: it holds more than one stream, one behind the other", convert_hint(path)
            )
        starts = [place for place, _ in _find(stream, _FLAC_START)] if magic == b"fLaC" else [0]
        starts += [place for place, kind, _, _ in chunks(stream) if kind in STARTS]
    if len(starts) > 1:
        place, name = starts[1], shlex.quote(str(path))
        raise AudioError(
            f"{path}: it holds more than one file, a second one begins at byte {place}",
            f"take it apart: head -c {place} {name} > FIRST; tail -c +{place + 1} {name} > SECOND",
        )


def chunks(stream: BinaryIO) -> Iterator[tuple[int, bytes, int, int]]:
    """Where every chunk begins, its name, where its content begins, and the length of that.

    The header's word is taken for them: a length below 0 is until the end, what follows the last
    chunk may be none. Files of other kinds have no chunks.
    """
    stream.seek(0)
    start = stream.read(12)
    if start[8:] == _VIDEO:
        return
    place, header, multiple = _CHUNK_FILES.get(start[:4], (0, struct.Struct(""), 1))
    size = stream.seek(0, os.SEEK_END)
    while 0 < place < size:
        stream.seek(place)
        raw = stream.read(header.size)
        if len(raw) < header.size:
            return
        kind, length = header.unpack(raw)
        yield place, kind, place + header.size, length
        if length < 0 or not is_name(kind):
            return
        place += header.size + length + -length % multiple


def is_name(kind: bytes) -> bool:
    """Whether these can be the four letters of a chunk."""
    return kind.isascii() and kind.decode().isprintable()


def _has_second_ogg(stream: BinaryIO) -> bool:
    """Whether a stream begins behind pages of another; those that go together begin together."""
    has_content = False
    for _, page in _find(stream, _OGG_PAGE):
        is_first = bool(page[1][0] & _OGG_FIRST_PAGE)
        if is_first and has_content:
            return True
        has_content = has_content or not is_first
    return False


def _find(stream: BinaryIO, start: re.Pattern[bytes]) -> Iterator[tuple[int, re.Match[bytes]]]:
    """All places of a pattern of at most `_LONGEST_START` bytes, and what matches there."""
    stream.seek(0)
    place, block = 0, b""
    while more := stream.read(_BLOCK_BYTES):
        block += more
        done = len(block) - _LONGEST_START + 1
        for match in start.finditer(block):
            yield place + match.start(), match
            done = max(done, match.end())
        done = max(0, done)
        place, block = place + done, block[done:]
