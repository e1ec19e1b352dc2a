"""Sound that comes from a pipe or goes into one, enhanced as it arrives: `mbs enhance - -o -`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mbs_cli.audio.file_info import AudioFileInfo, read_info
from mbs_cli.audio.native_encoder import most_frames_of
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.output_info import describe_output, rate_note
from mbs_cli.audio.pcm import PcmFormat
from mbs_cli.audio.pipe_format import describe_pipe, format_of_name
from mbs_cli.audio.pipe_reader import PipeReader
from mbs_cli.audio.pipe_writer import STDOUT, ByteSink, PipeWriter
from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.samples import Samples
from mbs_cli.audio.wav_stream import ByteSource
from mbs_cli.audio.writer import AudioWriter
from mbs_cli.enhancement.audio_file import check_finite
from mbs_cli.enhancement.batch import too_little_memory
from mbs_cli.enhancement.blocks import block_frames, enhance_blocks
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.engine import Engine
from mbs_cli.enhancement.latency import waiting_samples
from mbs_cli.enhancement.report import (
    Clock,
    CompilingKernels,
    EnhanceReport,
    Event,
    FileReport,
    Finished,
    Listener,
    ModelLoaded,
    Status,
    StreamOpened,
)
from mbs_cli.enhancement.run import compiles_kernels
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import AudioError, UsageError
from mbs_cli.memory import is_out_of_memory

_SHORT_BLOCK_SECONDS = 0.01  # about what programs send at once that send sound as it is recorded


def enhance_pipe(
    source: ByteSource | Path,
    target: ByteSink | Path,
    engine: Engine,
    *,
    raw: PcmFormat | None = None,
    sends_raw: bool = False,
    treatment: Treatment,
    output_format: OutputFormat,
    overwrite: bool = False,
    on_event: Listener,
) -> EnhanceReport:
    """Enhance what `source` sends, a WAV or bare samples as `raw` tells, or a file, until it ends.

    A pipe as `target` gets a WAV or, with `sends_raw`, bare samples, every block as soon as it is
    final; a file gets the format of its suffix.

    A stream that ends where it should not, or holds NaN, is enhanced up to there and then raises
    AudioError. Raises UsageError, before anything is read, for a target that cannot be, what
    `load_model` raises, OutOfMemory, and BrokenPipeError if nobody reads the target any more.
    """
    if isinstance(target, Path):
        output_format = format_of_name(target, output_format)
        if os.path.exists(target) and not overwrite:  # noqa: PTH110 - that one may raise
            raise UsageError(f"{target}: exists already", "--overwrite replaces it")
    clock = Clock()

    def listen(event: Event) -> None:
        clock.listen(event)
        on_event(event)

    sound = _File(source) if isinstance(source, Path) else PipeReader(source, raw)
    route = _Route(sound, target, treatment, output_format, sends_raw)
    model = _load(engine, listen)
    if isinstance(sound, PipeReader):
        listen(_stream_opened(sound.info, model, treatment))
    report = route.run(model)
    listen(Finished(report))
    return EnhanceReport((report,), *clock.read())


def _load(engine: Engine, listen: Listener) -> BoundedModel:
    model = engine.load()
    listen(ModelLoaded())
    if compiles_kernels(model):
        listen(CompilingKernels())
    return BoundedModel(model)


class _File:
    """A file with the face of a `PipeReader`."""

    failure = None  # raised at once

    def __init__(self, path: Path) -> None:
        self.info = read_info(path)
        self.seconds = self.info.seconds

    def blocks(self, most_frames: int) -> Iterator[Samples]:
        """Yield the samples (C, S)."""
        return read_blocks(self.info, most_frames)


class _Route:
    """From one sound to one target."""

    def __init__(
        self,
        sound: PipeReader | _File,
        target: ByteSink | Path,
        treatment: Treatment,
        wanted: OutputFormat,
        sends_raw: bool,
    ) -> None:
        self._sound = sound
        self._info = info = sound.info
        self._treatment = treatment
        self._wanted = wanted
        self._failure: AudioError | None = None
        self._name = target if isinstance(target, Path) else STDOUT
        self._most_frames: int | None = None
        channels = treatment.channels_out(info.channels)
        self._writer: AudioWriter | PipeWriter
        if isinstance(target, Path):
            self._output = describe_output(info, wanted, channels)
            self._writer = AudioWriter(target, self._output, wanted.clip)
            if not info.has_exact_length:
                self._most_frames = most_frames_of(self._output)
        else:
            self._output = describe_pipe(info, wanted, channels, is_raw=sends_raw)
            self._writer = _pipe_writer(target, self._output, wanted, is_raw=sends_raw)

    def run(self, model: BoundedModel) -> FileReport:
        """Enhance it all; raises as `enhance_pipe` does."""
        try:
            with self._writer as writer:
                for enhanced in self._enhanced(model):
                    writer.write(check_finite(enhanced, self._info))
        except (MemoryError, OSError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise too_little_memory(self._info.path) from error
        failure = self._failure or self._sound.failure
        if failure is not None:
            raise failure
        seconds = self._sound.seconds
        return FileReport(
            self._info.path,
            self._name,
            Status.DONE,
            seconds,
            writer.clipped_samples,
            writer.gain_db,
            self._note(writer.note),
        )

    def _note(self, note: str) -> str:
        empty = "" if self._sound.seconds else "no samples"
        rate = rate_note(self._info, self._output, self._wanted)
        return "; ".join(filter(None, [note, empty, rate]))

    def _enhanced(self, model: BoundedModel) -> Iterator[Samples]:
        """The enhanced blocks that the target has room for."""
        rate_hz, channels = self._info.sample_rate_hz, self._info.channels
        blocks = self._sound.blocks(block_frames(model, rate_hz, channels))
        output_rate_hz = self._output.sample_rate_hz
        frames = 0
        for enhanced in enhance_blocks(
            model, blocks, rate_hz, channels, self._treatment, output_rate_hz
        ):
            frames += enhanced.shape[1]
            if self._most_frames is not None and frames > self._most_frames:
                self._failure = AudioError(
                    f"{self._name}: a WAV holds 4 GiB, and it is full",
                    "what came until then is in it; for more take a name with .rf64 or .flac",
                )
                return
            yield enhanced


def _pipe_writer(
    sink: ByteSink, output: AudioFileInfo, wanted: OutputFormat, *, is_raw: bool
) -> PipeWriter:
    layout = PcmFormat(output.sample_rate_hz, output.channels, output.subtype, output.endian)
    frames = output.frames if output.has_exact_length else None
    return PipeWriter(sink, layout, wanted.clip, is_raw=is_raw, frames=frames)


def _stream_opened(info: AudioFileInfo, model: BoundedModel, treatment: Treatment) -> StreamOpened:
    block = max(1, round(_SHORT_BLOCK_SECONDS * info.sample_rate_hz))
    waiting = waiting_samples(
        info.sample_rate_hz,
        block,
        model.framing,
        is_causal=model.is_causal,
        treatment=treatment,
    )
    delay_seconds = (waiting + block) / info.sample_rate_hz
    return StreamOpened(info.sample_rate_hz, info.channels, delay_seconds, model.is_causal)
