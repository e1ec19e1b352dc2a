"""Which channels and sample rates ffmpeg's encoders hold. Imports nothing heavy.

A sound whose layout an encoder lacks is mixed by ffmpeg into another without a word, one whose rate
it lacks is resampled.
"""

from __future__ import annotations

from collections.abc import Mapping

# Layouts, as ffmpeg calls them, by the number of channels; the first is for a sound that does not
# tell its own. What ffmpeg takes for that by itself, such as 2.1 for 3 channels, few codecs hold.
_USUAL = {
    1: ("mono",),
    2: ("stereo",),
    3: ("3.0",),
    4: ("quad",),
    5: ("5.0",),
    6: ("5.1",),
    7: ("6.1",),
    8: ("7.1",),
}
_ALAC = {**_USUAL, 4: ("4.0",), 7: ("6.1(back)",), 8: ("7.1(wide)",)}
_AC3 = {
    1: ("mono",),
    2: ("stereo",),
    3: ("3.0", "3.0(back)", "2.1"),
    4: ("quad", "quad(side)", "4.0", "3.1"),
    5: ("5.0", "5.0(side)", "4.1"),
    6: ("5.1", "5.1(side)"),
}
_STEREO = {1: ("mono",), 2: ("stereo",)}

# Of the codecs that do not hold every layout.
_LAYOUTS: dict[str, Mapping[int, tuple[str, ...]]] = {
    "alac": _ALAC,
    "ac3": _AC3,
    "eac3": _AC3,
    "opus": _USUAL,
    "vorbis": _USUAL,
    "mp3": _STEREO,
    "mp2": _STEREO,
}

# Of the codecs that do not hold every sample rate.
_MPEG_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_RATES_HZ = {
    "aac": (7_350, 8_000, 11_025, 12_000, *_MPEG_RATES_HZ, 64_000, 88_200, 96_000),
    "ac3": (32_000, 44_100, 48_000),
    "eac3": (32_000, 44_100, 48_000),
    "mp2": _MPEG_RATES_HZ,
    "mp3": (8_000, 11_025, 12_000, *_MPEG_RATES_HZ),
    "opus": (8_000, 12_000, 16_000, 24_000, 48_000),
}
_OPUS_RATE_HZ = 48_000  # of what is read, whatever it was made from


def rates_hz(codec: str) -> tuple[int, ...]:
    """The sample rates that a codec has, none if it has all."""
    return _RATES_HZ.get(codec, ())


def kept_rate_hz(codec: str, rate_hz: int) -> int:
    """The rate of an output for an input's, where none is asked for: the same, but for Opus.

    That has few, and what is at 44.1 kHz could never become Opus.
    """
    lacks = codec == "opus" and rate_hz not in _RATES_HZ[codec]
    return _OPUS_RATE_HZ if lacks else rate_hz


def written_rate_hz(codec: str, rate_hz: int) -> int:
    """The sample rate that ffmpeg tells of a file that was written at that rate."""
    return _OPUS_RATE_HZ if codec == "opus" else rate_hz


def layout_for(codec: str, channels: int, layout: str) -> str:
    """The layout to give to an encoder for a sound of that one, "" if that is not told.

    One that the codec lacks becomes another of as many channels, so that every channel is kept
    as it is. "" if there is none.
    """
    held = _LAYOUTS.get(codec, _USUAL).get(channels, ())
    if layout and (layout in held or codec not in _LAYOUTS):
        return layout
    return held[0] if held else ""
