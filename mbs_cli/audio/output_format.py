"""How enhanced files are to be written, as a user asks for it. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mbs_cli.audio.sample_rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mbs_cli.errors import UsageError
from mbs_cli.options import choice


class ClipPolicy(StrEnum):
    """What happens to samples past full scale where the format cannot hold them."""

    WARN = "warn"  # they become full scale, and it is said how many
    RESCALE = "rescale"  # one gain for the whole file, so that its peak is full scale
    LIMIT = "limit"  # the gain goes down where they are and comes back


@dataclass(frozen=True)
class Container:
    """A container by the name that libsndfile (capital letters) or ffmpeg's muxer has for it."""

    name: str
    subtype: str  # where the input's own sample format cannot be kept


FORMATS = {
    "wav": Container("WAV", "PCM_16"),
    "rf64": Container("RF64", "PCM_16"),
    "w64": Container("W64", "PCM_16"),
    "flac": Container("FLAC", "PCM_16"),
    "aiff": Container("AIFF", "PCM_16"),
    "au": Container("AU", "PCM_16"),
    "caf": Container("CAF", "PCM_16"),
    "ogg": Container("OGG", "VORBIS"),
    "opus": Container("OGG", "OPUS"),
    "mp3": Container("MP3", "MPEG_LAYER_III"),
    "m4a": Container("ipod", "aac"),
    "aac": Container("adts", "aac"),
    "mp4": Container("mp4", "aac"),
    "mov": Container("mov", "aac"),
    "mka": Container("matroska", "opus"),
    "mkv": Container("matroska", "opus"),
    "webm": Container("webm", "opus"),
}


@dataclass(frozen=True)
class OutputFormat:
    """How outputs are written; what is None stays as it is in the input.

    Raises UsageError for what no output can have.
    """

    container: str | None = None  # one of FORMATS, and the suffix of the outputs
    subtype: str | None = None  # PCM_16, PCM_24, FLOAT, ...; for ffmpeg's containers a codec
    sample_rate_hz: int | None = None
    clip: ClipPolicy = ClipPolicy.WARN
    video: bool = False  # the picture of a video stays, untouched

    def __post_init__(self) -> None:
        object.__setattr__(self, "clip", choice(ClipPolicy, self.clip, "--clip"))
        if self.container is not None and self.container not in FORMATS:
            raise UsageError(
                f"--format {self.container}: not known", f"choose one of {', '.join(FORMATS)}"
            )
        rate_hz = self.sample_rate_hz
        if rate_hz is not None and not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise UsageError(
                f"--sample-rate {rate_hz}: expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz"
            )

    @property
    def suffix(self) -> str | None:
        """The suffix of outputs, or None if they keep their input's."""
        return None if self.container is None else f".{self.container}"
