"""Sound from a pipe: a WAV or bare samples, block by block as they arrive, without an end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.audio.joined import STARTS, is_name
from mbs_cli.audio.pcm import PcmFormat
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.wav_stream import ByteSource, read_exactly, read_header, skip
from mbs_cli.errors import AudioError

STDIN = Path("stdin")  # what reports and messages call it
_MOST_BYTES = 65_536  # in one block: as much as a pipe holds
_CHUNK_HEADER_BYTES = 8


class PipeReader:
    """Reads the header, then `blocks`; `layout` is the format that `--raw` tells, None for a WAV.

    What is wrong with the sound ends it there, and is in `failure` afterwards: what came before
    can still be used. Raises AudioError for a header that cannot be.
    """

    def __init__(self, source: ByteSource, layout: PcmFormat | None) -> None:
        self._source = source
        self._bytes_left: int | None = None
        self._frames_given = 0
        self.is_raw = layout is not None
        if layout is None:
            layout, self._bytes_left = read_header(source, str(STDIN))
        self.layout = layout
        self.promised_frames = (
            None if self._bytes_left is None else self._bytes_left // layout.frame_bytes
        )
        self.failure: AudioError | None = None

    @property
    def info(self) -> AudioFileInfo:
        """As of a file; without a promised length it has no frames."""
        layout = self.layout
        return AudioFileInfo(
            path=STDIN,
            sample_rate_hz=layout.sample_rate_hz,
            channels=layout.channels,
            frames=self.promised_frames or 0,
            container="RAW" if self.is_raw else "WAV",
            subtype=layout.subtype,
            endian=layout.endian if self.is_raw else "FILE",
            has_exact_length=self.promised_frames is not None,
        )

    @property
    def seconds(self) -> float:
        """How much sound was given so far."""
        return self._frames_given / self.layout.sample_rate_hz

    def blocks(self, most_frames: int) -> Iterator[Samples]:
        """Yield the samples (C, S) of what has arrived, S from 1 to `most_frames`."""
        frame_bytes = self.layout.frame_bytes
        most_bytes = max(frame_bytes, min(most_frames * frame_bytes, _MOST_BYTES))
        pending = b""
        while raw := self._receive(most_bytes - len(pending)):
            pending += raw
            whole_bytes = len(pending) // frame_bytes * frame_bytes
            block = self._finite_part(self.layout.decode(pending[:whole_bytes]))
            pending = pending[whole_bytes:]
            self._frames_given += block.shape[1]
            if block.size:
                yield block
            if self.failure is not None:
                return
        self.failure = self._wrong_end(len(pending))

    def _receive(self, most_bytes: int) -> bytes:
        if self._bytes_left is not None:
            most_bytes = min(most_bytes, self._bytes_left)
        raw = self._source.read1(most_bytes) if most_bytes else b""
        if self._bytes_left is not None:
            self._bytes_left -= len(raw)
        return raw

    def _finite_part(self, block: Samples) -> Samples:
        """The samples before the first that is no number, which is a failure."""
        is_bad = ~np.isfinite(block)
        if not is_bad.any():
            return block
        first = int(is_bad.any(axis=0).argmax())
        channel = int(is_bad[:, first].argmax())
        place = self._frames_given + first
        self.failure = AudioError(
            f"{STDIN}: sample {place} of channel {channel + 1} "
            f"({place / self.layout.sample_rate_hz:.3f} s) is {block[channel, first]}, expected "
            "finite numbers",
            "what came before was enhanced; check the program that sends it, and with --raw the "
            "sample format",
        )
        return block[:, :first]

    def _wrong_end(self, left_over_bytes: int) -> AudioError | None:
        kept = "what came before was enhanced; check the program that sends it"
        if self._bytes_left:
            return AudioError(
                f"{STDIN}: the stream ended after {self.seconds:.3f} s, its header promises "
                f"{(self.promised_frames or 0) / self.layout.sample_rate_hz:.3f} s",
                kept,
            )
        if left_over_bytes:
            return AudioError(
                f"{STDIN}: the stream ended in the middle of a sample ({left_over_bytes} of "
                f"{self.layout.frame_bytes} bytes)",
                kept + (", and --raw" if self.is_raw else ""),
            )
        if self._bytes_left == 0 and not self._ends_in_chunks():
            return AudioError(
                f"{STDIN}: there is more than the {self.seconds:.3f} s of sound that the WAV "
                "header tells of: it is wrong, or a second WAV follows",
                kept,
            )
        return None

    def _ends_in_chunks(self) -> bool:
        """Whether nothing but chunks, such as tags, follows the sound; all of it is read."""
        assert self.promised_frames is not None
        sound_bytes = self.promised_frames * self.layout.frame_bytes
        skip(self._source, sound_bytes % 2)
        while header := read_exactly(self._source, _CHUNK_HEADER_BYTES):
            kind, size = header[:4], int.from_bytes(header[4:], "little")
            if kind in STARTS or not is_name(kind):
                return False
            skip(self._source, size + size % 2)
        return True
