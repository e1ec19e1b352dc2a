"""The header of a WAV that goes through a pipe: read and written without going back.

Whoever writes a WAV into a pipe cannot fill in its size afterwards, so programs put 0 or a number
near the largest there: both mean "until the end".
"""

from __future__ import annotations

import struct
from typing import Protocol

from mbs_cli.audio.pcm import MOST_CHANNELS, PcmFormat
from mbs_cli.audio.sample_rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mbs_cli.audio.truncation import means_unknown_size
from mbs_cli.errors import AudioError

UNKNOWN_SIZE = 0xFFFFFFFF  # as ffmpeg writes it
_HEADER_BYTES = 44
_SIZE_IS_LONG = 0xFFFFFFFF
_SKIP_BYTES = 65_536
_EXTENSIBLE = 0xFFFE
_EXTENSIBLE_BYTES = 40
_LARGEST_FORMAT_BYTES = 4_096
_CODES = {"PCM": 1, "IEEE_FLOAT": 3, "ALAW": 6, "MULAW": 7}
# libsndfile's names by the format's code and the bits of a sample.
_SUBTYPES = {
    (_CODES["PCM"], 8): "PCM_U8",
    (_CODES["PCM"], 16): "PCM_16",
    (_CODES["PCM"], 24): "PCM_24",
    (_CODES["PCM"], 32): "PCM_32",
    (_CODES["IEEE_FLOAT"], 32): "FLOAT",
    (_CODES["IEEE_FLOAT"], 64): "DOUBLE",
    (_CODES["ALAW"], 8): "ALAW",
    (_CODES["MULAW"], 8): "ULAW",
}
WAV_SUBTYPES = tuple(_SUBTYPES.values())


class ByteSource(Protocol):
    """Where bytes come from."""

    def read1(self, size: int, /) -> bytes:
        """At most so many bytes, as soon as there are any; none at the end."""


def read_exactly(source: ByteSource, size: int) -> bytes:
    """So many bytes, fewer only at the end."""
    raw = source.read1(size)
    while raw and len(raw) < size and (more := source.read1(size - len(raw))):
        raw += more
    return raw


def read_header(source: ByteSource, name: str) -> tuple[PcmFormat, int | None]:
    """The format of a WAV and the bytes of its sound, None if they last until the end.

    Afterwards the source is where the sound begins. Raises AudioError, which calls it `name`.
    """
    start = read_exactly(source, 12)
    if not start:
        raise AudioError(f"{name}: the stream is empty (0 bytes)", "check the program before")
    if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        raise AudioError(
            f"{name}: not a WAV (it begins with {start!r})",
            "pipe a WAV, for example ffmpeg -i FILE -f wav - | ..., or tell what the samples are "
            "with --raw RATE,FORMAT,CHANNELS",
        )
    found: PcmFormat | None = None
    long_size: int | None = None
    while True:
        chunk = read_exactly(source, 8)
        if len(chunk) < 8:
            raise AudioError(f"{name}: the stream ends inside the WAV header", "send it again")
        kind, size = struct.unpack("<4sI", chunk)
        if kind == b"data" and found is not None:
            if size == _SIZE_IS_LONG and long_size is not None:
                size = long_size
            return found, None if size == 0 or means_unknown_size(size) else size
        if kind == b"data":
            raise AudioError(
                f"{name}: the WAV header tells no sample format before the sound", "send it again"
            )
        if kind == b"ds64":  # of RF64 (EBU Tech 3306): what is too large for four bytes
            sizes = read_exactly(source, min(size, 16))
            long_size = int.from_bytes(sizes[8:16], "little") or None
            size += size % 2 - len(sizes)
        elif kind == b"fmt ":
            found = _parse_format(read_exactly(source, min(size, _LARGEST_FORMAT_BYTES)), name)
            size = max(0, size - _LARGEST_FORMAT_BYTES) + size % 2
        else:
            size += size % 2
        skip(source, size)


def skip(source: ByteSource, size: int) -> None:
    """Read so many bytes, or all there are, and forget them."""
    while size > 0 and (raw := source.read1(min(size, _SKIP_BYTES))):
        size -= len(raw)


def _parse_format(raw: bytes, name: str) -> PcmFormat:
    if len(raw) < 16:
        raise AudioError(f"{name}: the WAV header is damaged (its format)", "send it again")
    code, channels, rate_hz, _, frame_bytes, bits = struct.unpack("<HHIIHH", raw[:16])
    if code == _EXTENSIBLE and len(raw) >= _EXTENSIBLE_BYTES:
        code = int.from_bytes(raw[24:26], "little")
    subtype = _SUBTYPES.get((code, bits))
    if subtype is None:
        raise AudioError(
            f"{name}: a WAV of format {code:#06x} with {bits} bits is not read from a pipe",
            f"send one of {', '.join(WAV_SUBTYPES)}: ffmpeg -i FILE -c:a pcm_s16le -f wav -",
        )
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ or not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(
            f"{name}: {rate_hz} Hz and {channels} channels, expected {LOWEST_RATE_HZ} to "
            f"{HIGHEST_RATE_HZ} Hz and 1 to {MOST_CHANNELS} channels",
            "check that the header is right",
        )
    found = PcmFormat(rate_hz, channels, subtype)
    if frame_bytes != found.frame_bytes:
        raise AudioError(
            f"{name}: the WAV header contradicts itself ({channels} channels of {bits} bits in "
            f"{frame_bytes} bytes)",
            "check that the header is right",
        )
    return found


def make_header(layout: PcmFormat, frames: int | None) -> bytes:
    """A WAV header; `frames` None, or more than a WAV can count, means "until the end"."""
    code, bits = next(key for key, subtype in _SUBTYPES.items() if subtype == layout.subtype)
    data_bytes = UNKNOWN_SIZE if frames is None else frames * layout.frame_bytes
    if data_bytes > UNKNOWN_SIZE - _HEADER_BYTES:
        data_bytes = UNKNOWN_SIZE
    riff_bytes = min(data_bytes + _HEADER_BYTES - 8 + data_bytes % 2, UNKNOWN_SIZE)
    rate_hz, frame_bytes = layout.sample_rate_hz, layout.frame_bytes
    details = (16, code, layout.channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits)
    begin = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", riff_bytes, b"WAVE", b"fmt ", *details)
    return begin + struct.pack("<4sI", b"data", data_bytes)
