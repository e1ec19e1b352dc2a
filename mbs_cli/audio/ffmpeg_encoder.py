"""Samples to ffmpeg, through a pipe, into a file of a format that libsndfile does not write."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbs_cli.audio.codec_limits import layout_for, written_rate_hz
from mbs_cli.audio.ffmpeg import file_address, input_options, start
from mbs_cli.audio.ffmpeg_bit_rate import usable_bit_rate
from mbs_cli.audio.ffmpeg_covers import attached_covers
from mbs_cli.audio.ffmpeg_muxers import (
    ATTACHES_COVERS,
    HOLDS_COVERS,
    delay_samples,
    demuxer_of,
    encoder_options,
)
from mbs_cli.audio.ffmpeg_probe import rate_and_channels
from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.audio.tags import ffmpeg_options
from mbs_cli.audio.write_errors import disk_full
from mbs_cli.errors import AudioError

_DISK_FULL_SIGNS = ("No space left on device", "File size limit exceeded", "quota exceeded")


class FfmpegEncoder:
    """Writes interleaved samples (S, C) to `partial`, with the tags and pictures of the source.

    Raises AudioError, which names `target`, with ffmpeg's own words.
    """

    def __init__(self, partial: Path, info: AudioFileInfo, target: Path) -> None:
        bit_rate = usable_bit_rate(info, _input_format(info), target)
        self._info = info = replace(info, bit_rate=bit_rate)
        self._partial = partial
        self._target = target
        with ExitStack() as opening:
            arguments = _arguments(info)
            if info.container in ATTACHES_COVERS:
                arguments += opening.enter_context(attached_covers(info, len(_streams(info))))
            arguments += ["-f", info.container, file_address(partial)]
            self._process = opening.enter_context(start("ffmpeg", arguments, target, is_fed=True))
            self._opened = opening.pop_all()

    def write(self, interleaved: NDArray[np.float32]) -> None:
        """Append samples (S, C)."""
        try:
            self._process.stdin.write(interleaved.astype("<f4", copy=False).tobytes())
        except BrokenPipeError as error:
            raise self._failure() from error

    def finish(self) -> None:
        """End the file; it is complete, and has what `info` promises, if nothing is raised."""
        try:
            self._process.stdin.close()
        except BrokenPipeError as error:
            raise self._failure() from error
        if not self._process.succeeds():
            raise self._failure()
        self._check_kept()

    def _check_kept(self) -> None:
        """See that ffmpeg changed neither rate nor channels: it does where a codec lacks them.

        What is too short for a whole frame of the codec leaves nothing to be seen.
        """
        info = self._info
        expected = written_rate_hz(info.subtype, info.sample_rate_hz), info.channels
        found = rate_and_channels(self._partial, demuxer_of(info.container))
        if found not in (None, expected):
            raise AudioError(
                f"{self._target}: {info.subtype} in {info.container} came out with {found[1]} "
                f"channels at {found[0]} Hz, expected {expected[1]} channels at {expected[0]} Hz",
                "choose another --format or --subtype, such as wav, --channels mono, or another "
                "--sample-rate",
            )

    def _failure(self) -> AudioError:
        reason = self._process.reason()
        if any(sign in reason for sign in _DISK_FULL_SIGNS):
            return disk_full(self._target)
        return AudioError(
            f"{self._target}: ffmpeg cannot write it ({reason})",
            "choose another --format, such as wav",
        )

    def release(self) -> None:
        """Stop ffmpeg if it still runs."""
        self._opened.close()


def _arguments(info: AudioFileInfo) -> list[str]:
    arguments = ["-nostdin", "-v", "error", "-xerror", "-y"]
    offset_seconds = info.media.offset_seconds if info.media and info.keeps_video else 0.0
    if offset_seconds:
        arguments += ["-itsoffset", f"{offset_seconds:.6f}"]
    arguments += [*_input_format(info), "-i", "pipe:0", *_stream_options(info)]
    delay = delay_samples(info.container, info.subtype, is_late=offset_seconds > 0)
    is_endless = not (info.frames or info.has_exact_length)  # a pipe, which promises no length
    if delay and (info.frames > delay or is_endless):
        arguments += ["-af", f"atrim=start_sample={delay}"]
    return arguments


def _input_format(info: AudioFileInfo) -> list[str]:
    layout = layout_for(info.subtype, info.channels, info.layout)
    channels = ["-channel_layout", layout] if layout else ["-ac", str(info.channels)]
    return ["-f", "f32le", "-ar", str(info.sample_rate_hz), *channels]


def _streams(info: AudioFileInfo) -> list[int]:
    """The streams of the source that the output has, the enhanced one among them."""
    media = info.media
    if media is None:
        return []
    covers = {cover.stream for cover in media.covers}
    wanted = {media.sound}
    if info.container in HOLDS_COVERS:
        wanted |= covers
    if info.keeps_video:
        wanted |= set(media.streams) - covers
    return sorted(wanted)


def _stream_options(info: AudioFileInfo) -> list[str]:
    """The enhanced stream in its place among those that are copied."""
    media = info.media
    if media is None:
        return [*ffmpeg_options(info.tags), *_encoder_options(info, 0)]
    kept = _streams(info)
    options = input_options(info.path)
    for place, stream in enumerate(kept):
        options += ["-map", "0:0" if stream == media.sound else f"1:{stream}"]
        options += [f"-map_metadata:s:{place}", f"1:s:{stream}"]  # told of one, told of all
    options += ["-map_metadata", "1", "-map_chapters", "1", "-c", "copy"]
    return options + _encoder_options(info, kept.index(media.sound))


def _encoder_options(info: AudioFileInfo, stream: int) -> list[str]:
    return encoder_options(info.subtype, info.channels, info.bits, info.bit_rate, stream)
