"""A sound card made of two files: one is heard, one is written, at the speed of a real one."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np

from mbs_cli.audio.audio_device import Exchange
from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.output_info import describe_output
from mbs_cli.audio.pipe_format import format_of_name
from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.writer import AudioWriter
from mbs_cli.errors import MbsError, UsageError


class SimulatedCard:
    """Plays `source` as if a microphone heard it, and keeps in `target` what a speaker would play.

    The output is as late as with a sound card, and as long as the input. Raises AudioError and
    UsageError for files that cannot be.
    """

    own_delay_seconds = 0.0
    dropouts = 0

    def __init__(self, source: Path, target: Path, block_seconds: float) -> None:
        if os.path.exists(target):  # noqa: PTH110 - that one may raise
            raise UsageError(f"--output {target}: exists already", "choose another name")
        self._info = read_info(source)
        as_it_is = OutputFormat(sample_rate_hz=self._info.sample_rate_hz)
        self._output = describe_output(self._info, format_of_name(target, as_it_is))
        self._target = target
        self.sample_rate_hz = self._info.sample_rate_hz
        self.channels = self._info.channels
        self.block_samples = max(1, round(block_seconds * self.sample_rate_hz))
        self._failure: MbsError | None = None
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_over(self) -> bool:
        """Whether the file has ended, or cannot be read or written any further."""
        return self._thread is not None and not self._thread.is_alive()

    def start(self, exchange: Exchange) -> None:
        """Begin to play."""
        self._thread = threading.Thread(target=self._run, args=[exchange], name="simulated card")
        self._thread.start()

    def _run(self, exchange: Exchange) -> None:
        try:
            self._play(exchange)
        except MbsError as error:
            self._failure = error

    def _play(self, exchange: Exchange) -> None:
        block_seconds = self.block_samples / self.sample_rate_hz
        due = time.perf_counter()
        with AudioWriter(self._target, self._output) as writer:
            for block in read_blocks(self._info, self.block_samples):
                due += block_seconds
                if self._is_stopping.wait(max(0.0, due - time.perf_counter())):
                    return
                heard = block.shape[1]
                missing = self.block_samples - heard
                played = exchange(np.pad(block, ((0, 0), (0, missing))))
                writer.write(played[:, :heard])

    def stop(self) -> None:
        """End, and keep what was played."""
        self._is_stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure
