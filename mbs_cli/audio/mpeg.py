"""MPEG audio (MP3, MP2, MP1), whose length is known for sure only once its frames are counted.

Every frame tells its own length, so the headers are a chain to follow (ISO/IEC 11172-3, section
2.4.2.3). The first frame may hold the number of all, in a tag named Xing or Info. Where it does
not, libsndfile takes the first frame for the mean one and reads no further than that estimate.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import soundfile

from mbs_cli.audio.ffmpeg import convert_hint
from mbs_cli.errors import AudioError

_BLOCK_BYTES = 1 << 20
_SEARCH_BYTES = 1 << 16
_SYNC = re.compile(rb"\xff[\xe0-\xff]")
_ID3V1_BYTES = 128

# kbit/s by index, from 1; by layer I, II, III of MPEG-1, then layer I and the others of MPEG-2.
_MPEG1_RATES = (
    (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_MPEG2_RATES = (
    (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_SAMPLE_RATES = (44_100, 48_000, 32_000)  # of MPEG-1, halved for 2, and again for 2.5
_VERSIONS = {3: 1, 2: 2, 0: 4}  # by their bits: what these rates are divided by

# A frame of layer III with one of these behind its header and side information is a tag and no
# sound. (Fraunhofer's tag, VBRI, is sound to libsndfile.)
_TAGS = (b"Xing", b"Info")
_LATEST_TAG = 48
_HAS_COUNT = 1
# Some encoders count the frame with the tag itself, or leave out the last.
_TOLERATED_FRAMES = 1


@dataclass(frozen=True)
class _Form:
    """What all frames of a stream have in common."""

    layer: int
    sample_rate_hz: int
    samples: int  # per channel, of a frame


@dataclass(frozen=True)
class _Stream:
    """What the headers of all frames tell."""

    frames: int  # that hold sound
    promised: int | None  # by the first frame
    promise_place: int  # in the file, of that number of four bytes
    samples: int  # per channel, of all these frames
    is_mixed: bool  # its layer or sample rate changes on the way
    is_cut: bool  # the last frame is not whole


class _Source:
    """A file's bytes by their place, with one block of them in memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._start = 0
        self._block = b""
        self.size = stream.seek(0, os.SEEK_END)

    def at(self, place: int, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        offset = place - self._start
        if not 0 <= offset <= len(self._block) - size:
            self._stream.seek(place)
            self._start, self._block = place, self._stream.read(max(size, _BLOCK_BYTES))
            offset = 0
        return self._block[offset : offset + size]


def open_counted(path: Path, sound: soundfile.SoundFile) -> soundfile.SoundFile:
    """The same MPEG file, with the true number of samples as its `frames`; takes over `sound`.

    Raises AudioError for a file with more than its first frame tells of, with several streams, or
    that ends inside a frame.
    """
    try:
        with path.open("rb") as file:
            stream = _follow(_Source(file))
        fault = _fault(stream)
        if fault:
            raise AudioError(f"{path}: {fault}", convert_hint(path))
    except BaseException:
        sound.close()
        raise
    if stream.is_cut or stream.promised == stream.frames:
        return sound
    if stream.promised is None:
        if stream.samples == sound.frames:
            return sound
        sound.close()
        return _CountedFile(_EndlessBytes(path), stream.samples)
    if stream.frames < stream.promised - _TOLERATED_FRAMES:
        return sound  # it ends too soon, which whoever reads it tells
    sound.close()
    return _FileOfBytes(_MendedBytes(path, stream.promise_place, stream.frames))


def _fault(stream: _Stream) -> str:
    if not stream.frames:
        return "the lengths of its MPEG frames are not told (free format)"
    if stream.is_mixed:
        return "it holds more than one stream: the sample rate or the MPEG layer changes on the way"
    if stream.promised is None:
        whole = f"after {stream.frames} whole ones"
        return f"the file is cut short (its last frame, {whole}, is not)" if stream.is_cut else ""
    if stream.frames > stream.promised + _TOLERATED_FRAMES:
        return (
            f"it holds more than one stream, or its header is wrong: the header tells of "
            f"{stream.promised} frames, {stream.frames} are there"
        )
    return ""


def _follow(source: _Source) -> _Stream:
    """Go from header to header; what lies between frames (tags, junk) is passed over."""
    headers = _headers()
    place = _next_frame(source, 0)
    form, length = headers[source.at(place, 3)] if place < source.size else (_Form(0, 1, 0), 0)
    has_tag, promised, offset = _read_tag(source.at(place, length))
    promise_place = place + offset
    frames = 0
    is_mixed = is_cut = False
    while place < source.size:
        found, length = headers.get(source.at(place, 3), (None, 0))
        if found is None:
            place = _next_frame(source, place)
            continue
        is_mixed = is_mixed or found != form
        is_cut = place + length > source.size
        frames += not is_cut
        place += length
    frames -= has_tag
    return _Stream(frames, promised, promise_place, frames * form.samples, is_mixed, is_cut)


def _read_tag(frame: bytes) -> tuple[bool, int | None, int]:
    """Whether a first frame is a tag and no sound, how many frames that tells of, and where."""
    for name in _TAGS:
        start = frame.find(name, 4, _LATEST_TAG)
        if start >= 0:
            has_count = len(frame) >= start + 12 and frame[start + 7] & _HAS_COUNT
            count = int.from_bytes(frame[start + 8 : start + 12]) if has_count else 0
            return True, count or None, start + 8
    return False, None, 0


def _next_frame(source: _Source, place: int) -> int:
    """Where the next frame begins that another, a tag or the end follows; the size if none does."""
    headers = _headers()
    while place < source.size:
        while tag_bytes := _tag_bytes(source.at(place, 16)):
            place += tag_bytes
        window = source.at(place, _SEARCH_BYTES)
        for match in _SYNC.finditer(window):
            begin = place + match.start()
            _, length = headers.get(source.at(begin, 3), (None, 0))
            if length and _is_frame_or_end(source, begin + length):
                return begin
        place += max(1, len(window) - 2)  # a header may lie across two windows
    return source.size


def _is_frame_or_end(source: _Source, place: int) -> bool:
    following = source.at(place, 16)
    return place == source.size or following[:3] in _headers() or _tag_bytes(following) > 0


def _tag_bytes(start: bytes) -> int:
    """The length of the tag (ID3, APE) that begins so, 0 if it is none."""
    if start.startswith(b"ID3") and len(start) >= 10:
        seven_bits = start[6:10]
        return 10 + sum((byte & 0x7F) << 7 * (3 - index) for index, byte in enumerate(seven_bits))
    if start.startswith(b"TAG"):
        return _ID3V1_BYTES
    if start.startswith(b"APETAGEX") and len(start) >= 16:
        return 32 + int.from_bytes(start[12:16], "little")
    return 0


@cache
def _headers() -> dict[bytes, tuple[_Form, int]]:
    """By the first three bytes of a frame: its form, and its length in bytes."""
    known = {}
    for version, divisor in _VERSIONS.items():
        for layer, kbits in enumerate(_MPEG1_RATES if divisor == 1 else _MPEG2_RATES, start=1):
            halved = layer == 3 and divisor > 1
            samples = 384 if layer == 1 else 576 if halved else 1_152
            slot = 4 if layer == 1 else 1
            for rate, base_hz in enumerate(_SAMPLE_RATES):
                rate_hz = base_hz // divisor
                form = _Form(layer, rate_hz, samples)
                for index, kbit in enumerate(kbits, start=1):
                    for flags in range(8):  # padding, private, no checksum
                        padding, private, plain = flags >> 2, flags >> 1 & 1, flags & 1
                        second = 0xE0 | version << 3 | (4 - layer) << 1 | plain
                        third = index << 4 | rate << 2 | padding << 1 | private
                        slots = samples // 8 // slot * kbit * 1_000 // rate_hz + padding
                        known[bytes((0xFF, second, third))] = form, slots * slot
    return known


class _Bytes:
    """A file as libsndfile sees it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._claimed = self._size = path.stat().st_size
        self._place = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Like that of a file, as are the others."""
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._claimed}
        self._place = starts[whence] + offset
        return self._place

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._place

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        found = self._read_at(self._place, size)
        self._place += len(found)
        return found

    def _read_at(self, place: int, size: int) -> bytes:
        self._file.seek(max(0, place))
        return self._file.read(size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _EndlessBytes(_Bytes):
    """A file that claims to be far longer than it is, so that no estimate falls short.

    There is nothing behind its true end; but its last bytes, where the decoder looks for a tag,
    are the true ones.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._claimed = 1_000 * self._size + (1 << 30)  # the sizes of frames differ by 1 to 200

    def _read_at(self, place: int, size: int) -> bytes:
        is_tag = place >= self._claimed - _ID3V1_BYTES
        return super()._read_at(place - (self._claimed - self._size if is_tag else 0), size)


class _MendedBytes(_Bytes):
    """A file whose first frame tells the true number of frames."""

    def __init__(self, path: Path, place: int, frames: int) -> None:
        super().__init__(path)
        self._mended = {place + n: byte for n, byte in enumerate(frames.to_bytes(4))}

    def _read_at(self, place: int, size: int) -> bytes:
        found = bytearray(super()._read_at(place, size))
        for mended, byte in self._mended.items():
            if 0 <= mended - place < len(found):
                found[mended - place] = byte
        return bytes(found)


class _FileOfBytes(soundfile.SoundFile):  # type: ignore[misc] # has no types of its own
    """An MPEG file whose bytes come from elsewhere."""

    def __init__(self, content: _Bytes) -> None:
        self._content = content
        super().__init__(content)

    def close(self) -> None:
        super().close()
        self._content.close()


class _CountedFile(_FileOfBytes):
    """One that is read to its true end, whatever libsndfile takes for its length."""

    def __init__(self, content: _Bytes, frames: int) -> None:
        self._counted_frames = frames
        super().__init__(content)

    @property
    def frames(self) -> int:
        return self._counted_frames
