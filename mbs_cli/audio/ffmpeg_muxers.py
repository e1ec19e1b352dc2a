"""Which containers and codecs are written through ffmpeg, and how. Imports nothing.

Only those that give back a sound where it was: an encoder delays it, and a container must say by
how much, or the delay must be known and taken out beforehand.
"""

from __future__ import annotations

# By ffmpeg's name of what reads a container: the muxer of each suffix, "" standing for all others.
_MUXERS = {
    "mov,mp4,m4a,3gp,3g2,mj2": {
        "": "mp4",
        ".m4a": "ipod",
        ".m4b": "ipod",
        ".mov": "mov",
        ".3gp": "3gp",
    },
    "matroska,webm": {"": "matroska", ".webm": "webm"},
    "aac": {"": "adts"},
    "mpegts": {"": "mpegts"},
    "avi": {"": "avi"},
    "flv": {"": "flv"},
}
MUXERS = frozenset(muxer for family in _MUXERS.values() for muxer in family.values())
HOLDS_COVERS = frozenset({"ipod", "mp4", "mov"})  # pictures of an audio file, as streams
ATTACHES_COVERS = frozenset({"matroska"})
_STORES_DELAY = frozenset({"ipod", "mp4", "mov", "3gp"})

# Samples by which ffmpeg's encoders delay a sound, without those whose codec tells of it itself.
_DELAYS = {"aac": 1024, "mp3": 1105, "ac3": 256, "eac3": 256, "mp2": 481}

# ffmpeg's own encoders of these names are experimental.
_ENCODERS = {"opus": "libopus", "vorbis": "libvorbis", "mp3": "libmp3lame"}

# How 16 bits, and any more, are handed to the lossless encoders.
_SAMPLE_FORMATS = {"alac": ("s16p", "s32p"), "flac": ("s16", "s32")}

# ffmpeg mixes up so many channels of Opus, and refuses more than 8, unless they have no names
# (mapping family 255 of RFC 7845, section 5.1.1.3).
_MIXED_UP = (5, 7)
_MOST_NAMED = 8
_UNNAMED = "255"


def muxer_of(demuxer: str, suffix: str) -> str:
    """The muxer that writes what was read by `demuxer`, or `demuxer` if none does."""
    family = _MUXERS.get(demuxer, {})
    return family.get(suffix.lower(), family.get("", demuxer))


def codec_of(name: str) -> str:
    """The codec that goes by its own name or by that of its encoder: opus, libopus."""
    return {encoder: codec for codec, encoder in _ENCODERS.items()}.get(name, name)


def demuxer_of(muxer: str) -> str:
    """What reads the files of one of `MUXERS`."""
    return next(name for name, family in _MUXERS.items() if muxer in family.values()).split(",")[0]


def delay_samples(muxer: str, codec: str, *, is_late: bool) -> int:
    """By how many samples a sound would come back late.

    What stores the delay stores a negative start, which a sound that begins after its picture
    (`is_late`) does not have.
    """
    return 0 if muxer in _STORES_DELAY and not is_late else _DELAYS.get(codec, 0)


def encoder_options(codec: str, channels: int, bits: int, bit_rate: int, stream: int) -> list[str]:
    """The arguments that choose the encoder of an output stream."""
    options = [f"-c:{stream}", _ENCODERS.get(codec, codec)]
    if codec in _SAMPLE_FORMATS:
        narrow, wide = _SAMPLE_FORMATS[codec]
        options += [f"-sample_fmt:{stream}", narrow if bits <= 16 else wide]
    elif bit_rate:
        options += [f"-b:{stream}", str(bit_rate)]
    if codec == "opus" and (channels in _MIXED_UP or channels > _MOST_NAMED):
        options += [f"-mapping_family:{stream}", _UNNAMED]
    return options
