"""How long a FLAC file is by its last frame, whatever its header tells of (RFC 9639)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"fLaC"
_LAST_BLOCK = 0x80
_STREAM_INFO_BYTES = 34
_LARGEST_FRAME_BYTES = 1 << 20  # where the header does not tell it
_TAG_BYTES = 4_096  # what some programs append
_HEADER_BYTES = 16  # the longest of a frame
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_VARIABLE_BLOCKS = 0x01


@dataclass(frozen=True)
class _Frame:
    """Which samples a frame holds."""

    start: int
    end: int


def surplus_samples(path: Path, frames: int) -> int:
    """How many samples per channel the file holds beyond `frames`, which its header tells of.

    Only the end of the file is read. What looks like a frame there counts if another one comes
    right before it: by chance that does not happen.
    """
    with path.open("rb") as stream:
        if stream.read(4) != _MAGIC:
            return 0  # FLAC in another container, or behind a tag
        block_samples, frame_bytes = _skip_metadata(stream)
        first = stream.tell()
        tail_bytes = 3 * (frame_bytes or _LARGEST_FRAME_BYTES) + _TAG_BYTES
        stream.seek(max(first, path.stat().st_size - tail_bytes))
        tail = stream.read()
    last, end = _Frame(0, 0), 0  # the first frame comes after none
    for match in _SYNC.finditer(tail):
        frame = _parse_header(tail[match.start() : match.start() + _HEADER_BYTES], block_samples)
        if frame is None:
            continue
        if frame.start == last.end:
            end = frame.end
        last = frame
    return max(0, end - frames)


def _skip_metadata(stream: BinaryIO) -> tuple[int, int]:
    """Go to the first frame; a block's samples, 0 if they vary, and the largest frame's bytes."""
    block_samples = frame_bytes = 0
    is_last = False
    while not is_last and len(header := stream.read(4)) == 4:
        is_last = bool(header[0] & _LAST_BLOCK)
        size = int.from_bytes(header[1:])
        if header[0] & ~_LAST_BLOCK == 0 and size >= _STREAM_INFO_BYTES:
            info = stream.read(size)
            block_samples = int.from_bytes(info[2:4]) if info[:2] == info[2:4] else 0
            frame_bytes = int.from_bytes(info[7:10])
        else:
            stream.seek(size, 1)
    return block_samples, frame_bytes


def _parse_header(raw: bytes, block_samples: int) -> _Frame | None:
    """A frame's place by its header (section 9.1), None if it is none."""
    number, at = _coded_number(raw, 4)
    if number is None:
        return None  # nor is it a whole header
    code = raw[2] >> 4
    extra = {6: 1, 7: 2}.get(code, 0)
    samples = _block_samples(code, raw[at : at + extra])
    at += extra + {12: 1, 13: 2, 14: 2}.get(raw[2] & 0x0F, 0)
    if not samples or at >= len(raw) or _crc8(raw[:at]) != raw[at]:
        return None
    if raw[1] & _VARIABLE_BLOCKS:
        return _Frame(number, number + samples)
    start = number * block_samples
    return _Frame(start, start + samples) if block_samples else None


def _block_samples(code: int, extra: bytes) -> int:
    if code in (6, 7):
        return int.from_bytes(extra) + 1
    if code == 1:
        return 192
    return 144 << code if 2 <= code <= 5 else 1 << code if code >= 8 else 0


def _coded_number(raw: bytes, at: int) -> tuple[int | None, int]:
    """A number coded like a character of UTF-8, in up to 7 bytes, and where it ends."""
    if len(raw) <= at:
        return None, at
    ones = 8 - (raw[at] ^ 0xFF).bit_length()
    if ones == 0:
        return raw[at], at + 1
    end = at + ones
    if ones in {1, 8} or len(raw) < end:
        return None, at
    number = raw[at] & (0x7F >> ones)
    for byte in raw[at + 1 : end]:
        if byte >> 6 != 0b10:
            return None, at
        number = number << 6 | byte & 0x3F
    return number, end


def _crc8(raw: bytes) -> int:
    """By the polynomial x^8 + x^2 + x + 1."""
    rest = 0
    for byte in raw:
        rest ^= byte
        for _ in range(8):
            rest = (rest << 1 ^ 0x07) & 0xFF if rest & 0x80 else rest << 1
    return rest
