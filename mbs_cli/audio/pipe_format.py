"""What goes into a pipe, or from a pipe into a file: the input's format, and what a user wants."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.audio.output_format import FORMATS, OutputFormat
from mbs_cli.audio.output_info import describe_output
from mbs_cli.audio.pcm import SAMPLE_BYTES
from mbs_cli.audio.wav_stream import WAV_SUBTYPES
from mbs_cli.errors import UsageError


def describe_pipe(
    info: AudioFileInfo, wanted: OutputFormat, channels: int, *, is_raw: bool
) -> AudioFileInfo:
    """The format of a WAV or of bare samples for an input's; `wanted.container` does not count.

    Raises AudioError or UsageError for a sample format that they do not have.
    """
    subtypes = tuple(SAMPLE_BYTES) if is_raw else WAV_SUBTYPES
    container = "RAW" if is_raw else "WAV"
    is_kept = info.container == container and info.subtype in subtypes
    output = describe_output(info, replace(wanted, container=None if is_kept else "wav"), channels)
    if output.subtype not in subtypes:
        raise UsageError(
            f"--subtype {wanted.subtype}: not for standard output",
            f"choose one of {', '.join(subtypes)}",
        )
    endian = info.endian if is_kept and is_raw else "LITTLE"
    return replace(output, container=container, endian=endian)


def format_of_name(target: Path, wanted: OutputFormat) -> OutputFormat:
    """The format of a file by its name, for sound that comes without a name of its own.

    Raises UsageError for a folder, a suffix that is no format, or another one than is wanted.
    """
    if os.path.isdir(target) or not target.suffix:  # noqa: PTH112 - that one may raise
        raise UsageError(
            f"{target}: standard input has no name that its output could keep",
            "name the file, for example -o clean.wav, or - for standard output",
        )
    name = target.suffix[1:].lower()
    if name not in FORMATS:
        raise UsageError(
            f"{target}: no format goes by that suffix",
            f"choose one of {', '.join('.' + known for known in FORMATS)}",
        )
    if wanted.container not in (None, name):
        raise UsageError(
            f"{target}: the output is of --format {wanted.container}",
            f"name it {target.with_suffix('.' + str(wanted.container))}",
        )
    return replace(wanted, container=name)
