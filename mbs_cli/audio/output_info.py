"""What an output is to be: its input's format, and what a user wants otherwise."""

from __future__ import annotations

from dataclasses import replace

import soundfile

from mbs_cli.audio.codec_limits import kept_rate_hz, rates_hz
from mbs_cli.audio.ffmpeg import convert_hint
from mbs_cli.audio.ffmpeg_muxers import MUXERS, codec_of
from mbs_cli.audio.file_info import AudioFileInfo
from mbs_cli.audio.output_format import FORMATS, OutputFormat
from mbs_cli.audio.resampling import resampled_length
from mbs_cli.errors import AudioError

# Sample formats that any other can be turned into, with the bits that they hold.
_LINEAR_BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "FLOAT": 32,
    "DOUBLE": 64,
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
    "ALAC_32": 32,
}


def describe_output(
    info: AudioFileInfo, wanted: OutputFormat, channels: int | None = None
) -> AudioFileInfo:
    """The output's format for an input's; `channels` where it is not the input's number.

    Raises AudioError for a format that is not written.
    """
    output = replace(
        info,
        channels=channels or info.channels,
        layout=info.layout if channels in (None, info.channels) else "",
        keeps_video=wanted.video and info.media is not None and info.media.has_video,
    )
    if wanted.container is not None:
        output = _in_container(output, wanted.container)
    if wanted.subtype is not None:
        is_native = output.container not in MUXERS
        subtype = wanted.subtype.upper() if is_native else codec_of(wanted.subtype.lower())
        output = replace(output, subtype=subtype, bit_rate=0)
    _check_writable(output, wanted)
    return _at_rate(output, wanted)


def rate_note(info: AudioFileInfo, output: AudioFileInfo, wanted: OutputFormat) -> str:
    """What to say of a sample rate that nobody asked for, "" if it is the input's."""
    if wanted.sample_rate_hz is not None or output.sample_rate_hz == info.sample_rate_hz:
        return ""
    return f"{output.sample_rate_hz} Hz: {output.subtype} has no {info.sample_rate_hz} Hz"


def _at_rate(info: AudioFileInfo, wanted: OutputFormat) -> AudioFileInfo:
    codec = info.subtype.lower()
    rate_hz = wanted.sample_rate_hz or kept_rate_hz(codec, info.sample_rate_hz)
    held = rates_hz(codec)
    if held and rate_hz not in held:
        raise AudioError(
            f"{info.path}: {info.subtype} has no sample rate of {rate_hz} Hz",
            f"give one that it has with --sample-rate: {', '.join(map(str, held))}",
        )
    frames = resampled_length(info.frames, info.sample_rate_hz, rate_hz)
    return replace(info, sample_rate_hz=rate_hz, frames=frames)


def _in_container(info: AudioFileInfo, name: str) -> AudioFileInfo:
    """The sample format stays where the new container has it."""
    container = FORMATS[name]
    if container.name == info.container and info.subtype == container.subtype:
        return info
    if container.name in MUXERS:
        is_kept = info.container in MUXERS and container.name != "webm"
        subtype = info.subtype if is_kept else container.subtype
        return replace(
            info,
            container=container.name,
            subtype=subtype,
            bits=info.bits or _bits(info),
            bit_rate=info.bit_rate if is_kept else 0,
        )
    return replace(
        info, container=container.name, subtype=_native_subtype(info, name), endian="FILE"
    )


def _native_subtype(info: AudioFileInfo, name: str) -> str:
    container = FORMATS[name]
    if container.subtype not in _LINEAR_BITS:
        return container.subtype
    if info.subtype in _LINEAR_BITS and soundfile.check_format(container.name, info.subtype):
        return info.subtype
    has_more = _bits(info) > 16
    return "PCM_24" if has_more else container.subtype


def _bits(info: AudioFileInfo) -> int:
    return info.bits or _LINEAR_BITS.get(info.subtype, 16)


def _check_writable(info: AudioFileInfo, wanted: OutputFormat) -> None:
    if info.container in MUXERS:
        return
    if wanted.video and info.keeps_video:
        raise AudioError(
            f"{info.path}: {info.container} holds no picture",
            "leave out --video, or take a --format of video such as mp4 or mkv",
        )
    if soundfile.check_format(info.container, info.subtype, info.endian):
        return
    if wanted.container is None and wanted.subtype is None:
        raise AudioError(
            f"{info.path}: {info.container} with {info.subtype} can be read but not written",
            f"choose another with --format, such as wav, or {convert_hint(info.path)}",
        )
    known = soundfile.available_subtypes(info.container) if info.container.isupper() else {}
    raise AudioError(
        f"{info.path}: {info.container} does not hold {info.subtype}",
        f"take a --subtype of {', '.join(known)}" if known else "choose a --format, such as wav",
    )
