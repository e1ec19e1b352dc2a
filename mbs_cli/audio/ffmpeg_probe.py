"""What ffprobe says of a file that libsndfile does not read.

Everything in its answer comes from the file and is checked before use.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from mbs_cli.audio.ffmpeg import convert_hint, input_options, start
from mbs_cli.audio.tags import from_ffmpeg
from mbs_cli.errors import AudioError

_ENTRIES = (
    "stream=index,codec_type,codec_name,sample_rate,channels,channel_layout,bit_rate,"
    "bits_per_raw_sample,duration_ts,duration,time_base,start_time:stream_disposition=attached_pic:"
    "stream_tags=filename:"
    "format=format_name,duration,start_time,bit_rate:format_tags"
)
_COPIED_TYPES = ("video", "audio", "subtitle", "attachment")
_LONGEST_NAME = 255
# A layout has a name, such as 5.1(side), or its channels are told: 3 channels (FL+FR+BC).
_LAYOUT = re.compile(r"(?:\d+ channels \()?([\w.]+(?:\([\w-]+\))?|\w+(?:\+\w+)+)\)?")


@dataclass(frozen=True)
class Cover:
    """A still picture of an audio file."""

    stream: int  # its index in the file
    codec: str
    name: str  # of the file that it was attached as, "" if it was not


@dataclass(frozen=True)
class Media:
    """The streams of a file beside the one that is enhanced, and where that one belongs."""

    sound: int  # the enhanced stream's index in the file
    offset_seconds: float  # from the start of the file to the start of the sound
    streams: tuple[int, ...]  # in the file's order, what a copy of the whole file would hold
    covers: tuple[Cover, ...]  # those that are no film
    has_video: bool


@dataclass(frozen=True)
class Probe:
    """An audio stream as its header describes it."""

    demuxer: str  # ffmpeg's name of the container, several joined by commas where one reads all
    codec: str
    sample_rate_hz: int
    channels: int
    layout: str  # of the channels, "" where not known
    frames: int
    has_exact_length: bool  # the last `frames` are known to the sample
    bits: int  # of a lossless codec, else 0
    bit_rate: int  # 0 where not known
    media: Media
    tags: dict[str, str]  # by libsndfile's names


def probe(path: Path) -> Probe:
    """Raises AudioError if ffprobe finds no sound in the file."""
    arguments = ["-v", "warning", "-show_entries", _ENTRIES, "-of", "json", *input_options(path)]
    with start("ffprobe", arguments, path) as process:
        answer = process.stdout.read()
        if not process.succeeds():
            raise AudioError(
                f"{path}: not an audio file that libsndfile or ffmpeg reads ({process.reason()})",
                "check that it is audio and that it is whole",
            )
        is_estimated = "Estimating duration" in process.log()
    document = json.loads(answer.decode(errors="replace"))
    streams: list[dict[str, Any]] = document.get("streams", [])
    sounds = [stream for stream in streams if stream.get("codec_type") == "audio"]
    if not sounds:
        raise AudioError(f"{path}: there is no sound in this file", "name another file")
    try:
        return _describe(path, document["format"], streams, sounds[0], is_estimated)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise AudioError(
            f"{path}: ffprobe does not tell the sample rate, channels or length of its sound",
            convert_hint(path),
        ) from error


def rate_and_channels(path: Path, demuxer: str) -> tuple[int, int] | None:
    """The sample rate in Hz and the channels of a file's first sound, None if it has none."""
    arguments = ["-v", "error", "-f", demuxer, "-select_streams", "a:0"]
    arguments += ["-show_entries", "stream=sample_rate,channels", "-of", "json"]
    with start("ffprobe", [*arguments, *input_options(path)], path) as process:
        answer = process.stdout.read()
        process.succeeds()
    for stream in json.loads(answer.decode(errors="replace") or "{}").get("streams", []):
        return int(stream.get("sample_rate", 0)), int(stream.get("channels", 0))
    return None


def _describe(
    path: Path,
    container: dict[str, Any],
    streams: list[dict[str, Any]],
    sound: dict[str, Any],
    is_estimated: bool,
) -> Probe:
    rate_hz = int(sound["sample_rate"])
    media = _media(container, streams, sound)
    seconds, bit_rate = _told(container, sound, is_alone=len(streams) == 1)
    if is_estimated or not (seconds and bit_rate):
        counted, counted_bits = _count(path, media.sound)
        seconds = counted if is_estimated or not seconds else seconds
        bit_rate = bit_rate or round(counted_bits / counted)
    channels = int(sound["channels"])
    if channels < 1 or seconds < 0:
        raise ValueError
    return Probe(
        demuxer=container["format_name"],
        codec=sound["codec_name"],
        sample_rate_hz=rate_hz,
        channels=channels,
        layout=_layout(sound),
        frames=round(seconds * rate_hz),
        has_exact_length="duration_ts" in sound and sound["time_base"] == f"1/{rate_hz}",
        bits=int(sound.get("bits_per_raw_sample", 0)),
        bit_rate=bit_rate,
        media=media,
        tags=from_ffmpeg(container.get("tags", {})),
    )


def _layout(sound: dict[str, Any]) -> str:
    told = _LAYOUT.fullmatch(sound.get("channel_layout", ""))
    return "" if told is None or told[1] == "unknown" else told[1]


def _media(
    container: dict[str, Any], streams: list[dict[str, Any]], sound: dict[str, Any]
) -> Media:
    covers = [_cover(item) for item in streams if item["disposition"]["attached_pic"]]
    pictures = {cover.stream for cover in covers}
    offset = float(sound.get("start_time", 0)) - float(container.get("start_time", 0))
    return Media(
        sound=sound["index"],
        offset_seconds=offset,
        streams=tuple(s["index"] for s in streams if s.get("codec_type") in _COPIED_TYPES),
        covers=tuple(covers),
        has_video=any(
            s.get("codec_type") == "video" and s["index"] not in pictures for s in streams
        ),
    )


def _cover(stream: dict[str, Any]) -> Cover:
    name = stream.get("tags", {}).get("filename", "")
    is_usable = len(name) <= _LONGEST_NAME
    return Cover(stream["index"], stream.get("codec_name", ""), name if is_usable else "")


def _told(
    container: dict[str, Any], sound: dict[str, Any], *, is_alone: bool
) -> tuple[Fraction, int]:
    """Seconds and bits per second of the sound as the header has them, 0 where it does not.

    What it says of the whole file holds for a sound without other streams.
    """
    whole = container if is_alone else {}
    seconds = Fraction(whole.get("duration", 0))
    if "duration_ts" in sound:
        seconds = int(sound["duration_ts"]) * Fraction(sound["time_base"])
    return seconds, int(sound.get("bit_rate", whole.get("bit_rate", 0)))


def _count(path: Path, stream: int) -> tuple[Fraction, int]:
    """Seconds and bits of the sound by all its packets; live recordings tell of neither."""
    arguments = ["-v", "error", "-select_streams", str(stream)]
    arguments += ["-show_entries", "packet=pts_time,duration_time,size", "-of", "csv=p=0"]
    first, end, size = None, 0.0, 0
    with start("ffprobe", [*arguments, *input_options(path)], path) as process:
        for line in process.stdout:
            fields = line.decode(errors="replace").strip().split(",")
            if len(fields) < 3:
                continue  # an empty line between the packets of some containers
            time, duration = (_number(field) for field in fields[:2])
            first = time if first is None else first
            end = max(end, time + duration)
            size += int(_number(fields[2]))
    return Fraction(end - (first or 0.0)), 8 * size


def _number(field: str) -> float:
    return 0.0 if field in ("", "N/A") else float(field)
