"""Sound into a pipe: a WAV or bare samples, every block at once."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from mbs_cli.audio.clipping import Clipping, open_clipping
from mbs_cli.audio.output_format import ClipPolicy
from mbs_cli.audio.pcm import PcmFormat
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.wav_stream import make_header
from mbs_cli.audio.write_errors import write_failure
from mbs_cli.errors import UsageError

STDOUT = Path("stdout")  # what reports and messages call it


class ByteSink(Protocol):
    """Where bytes go, without a buffer between."""

    def write(self, data: memoryview, /) -> int | None:
        """Take some of them; how many, None if it was not ready for any."""


class PipeWriter:
    """As `AudioWriter`, a context that writes blocks (C, S); `frames` None for an open end.

    Raises UsageError for a clipping policy that needs the whole signal, BrokenPipeError if nobody
    reads any more, and AudioError for any other failure to write.
    """

    def __init__(
        self,
        sink: ByteSink,
        layout: PcmFormat,
        clip: ClipPolicy = ClipPolicy.WARN,
        *,
        is_raw: bool = False,
        frames: int | None = None,
    ) -> None:
        if clip is ClipPolicy.RESCALE:
            raise UsageError(
                "--clip rescale: one gain for the whole sound is known only at its end",
                "on standard output choose --clip limit or --clip warn",
            )
        self._sink = sink
        self._layout = layout
        self._header = b"" if is_raw else make_header(layout, frames)
        self._has_size = not is_raw and frames is not None
        self._sound_bytes = 0
        self._clipping: Clipping | None = None  # floats are never touched
        if not layout.is_float:
            self._clipping = open_clipping(clip, layout.channels, layout.sample_rate_hz, Path())

    @property
    def clipped_samples(self) -> int:
        """How many samples were past full scale."""
        return self._clipping.clipped_samples if self._clipping else 0

    @property
    def gain_db(self) -> float:
        """A gain of the whole is never needed here."""
        return 0.0

    @property
    def note(self) -> str:
        """What was done about samples past full scale, "" if nothing."""
        return self._clipping.describe() if self._clipping else ""

    def __enter__(self) -> Self:
        self._send(self._header)
        return self

    def write(self, block: Samples) -> None:
        """Send samples (C, S)."""
        if block.shape[1] == 0:
            return
        if self._clipping is not None:
            block = self._clipping.feed(block)
        raw = self._layout.encode(block)
        self._sound_bytes += len(raw)
        self._send(raw)

    def _send(self, raw: bytes) -> None:
        left = memoryview(raw)
        try:
            while left:
                left = left[self._sink.write(left) or 0 :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_failure(STDOUT, error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self._has_size and self._sound_bytes % 2:
            self._send(b"\0")  # RIFF's chunks have even lengths
