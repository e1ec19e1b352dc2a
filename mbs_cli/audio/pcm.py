"""Samples as they lie in a stream of bytes without a header.

Letters: C channels, S samples.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from mbs_cli.audio.sample_rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mbs_cli.audio.samples import Samples, silence
from mbs_cli.errors import UsageError

MOST_CHANNELS = 1024  # libsndfile's limit
SAMPLE_BYTES = {
    **dict.fromkeys(("PCM_S8", "PCM_U8", "ULAW", "ALAW"), 1),
    **dict.fromkeys(("PCM_32", "FLOAT"), 4),
    "PCM_16": 2,
    "PCM_24": 3,
    "DOUBLE": 8,
}
_CODINGS = {  # by ffmpeg's name: libsndfile's subtype and byte order
    "u8": ("PCM_U8", "LITTLE"),
    "s8": ("PCM_S8", "LITTLE"),
    "s16le": ("PCM_16", "LITTLE"),
    "s16be": ("PCM_16", "BIG"),
    "s24le": ("PCM_24", "LITTLE"),
    "s24be": ("PCM_24", "BIG"),
    "s32le": ("PCM_32", "LITTLE"),
    "s32be": ("PCM_32", "BIG"),
    "f32le": ("FLOAT", "LITTLE"),
    "f32be": ("FLOAT", "BIG"),
    "f64le": ("DOUBLE", "LITTLE"),
    "f64be": ("DOUBLE", "BIG"),
    "mulaw": ("ULAW", "LITTLE"),
    "alaw": ("ALAW", "LITTLE"),
}


@dataclass(frozen=True)
class PcmFormat:
    """Rate, channels and sample format; libsndfile codes, so that all is as in a file."""

    sample_rate_hz: int
    channels: int
    subtype: str  # a key of SAMPLE_BYTES
    endian: str = "LITTLE"

    @property
    def frame_bytes(self) -> int:
        """Of one sample of all channels."""
        return self.channels * SAMPLE_BYTES[self.subtype]

    @property
    def is_float(self) -> bool:
        """Whether samples past full scale can be stored as they are."""
        return self.subtype in ("FLOAT", "DOUBLE")

    def decode(self, raw: bytes) -> Samples:
        """Bytes, a whole number of frames, as samples (C, S)."""
        if not raw:
            return silence(self.channels, 0)
        samples, _ = soundfile.read(
            io.BytesIO(raw),
            dtype="float32",
            always_2d=True,
            samplerate=self.sample_rate_hz,
            channels=self.channels,
            format="RAW",
            subtype=self.subtype,
            endian=self.endian,
        )
        return np.ascontiguousarray(samples.T)

    def encode(self, samples: Samples) -> bytes:
        """Samples (C, S) as bytes; what does not fit is clipped."""
        raw = io.BytesIO()
        soundfile.write(
            raw,
            samples.T,
            self.sample_rate_hz,
            format="RAW",
            subtype=self.subtype,
            endian=self.endian,
        )
        return raw.getvalue()


def parse_raw(text: str) -> PcmFormat:
    """The format that "RATE,FORMAT,CHANNELS" tells of. Raises UsageError for anything else."""
    rate, _, rest = text.partition(",")
    coding, _, channels = rest.partition(",")
    option = f"--raw {text}"
    if not (rate.isdecimal() and channels.isdecimal()):
        raise UsageError(
            f"{option}: expected RATE,FORMAT,CHANNELS", "for example --raw 48000,s16le,2"
        )
    if coding not in _CODINGS:
        raise UsageError(
            f"{option}: {coding} is no sample format", f"choose one of {', '.join(_CODINGS)}"
        )
    if not LOWEST_RATE_HZ <= int(rate) <= HIGHEST_RATE_HZ:
        raise UsageError(f"{option}: expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz")
    if not 1 <= int(channels) <= MOST_CHANNELS:
        raise UsageError(f"{option}: expected 1 to {MOST_CHANNELS} channels")
    return PcmFormat(int(rate), int(channels), *_CODINGS[coding])
