"""How training clips are made. Imports nothing heavy, so that help texts are instant."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.errors import UsageError
from mbs_cli.options import flags_of, option

_SHARES = (
    "second_noise",
    "babble",
    "synthetic_noise",
    "speed",
    "codec",
    "equaliser",
    "room",
    "narrow_band",
    "overload",
    "noise_alone",
    "speech_alone",
    "remix",
    "band_mask",
)


@dataclass(frozen=True)
class MixingConfig:
    """How clips are mixed; the defaults are the shipped recipe.

    Pairs give clips as they were recorded, but for the level, and others whose noise (noisy minus
    clean) is mixed with other speech just as noise files are.
    """

    segment_seconds: float = option("Length of a training clip.", default=2.0)
    snr_low_db: float = option(
        "Lowest level of the active speech against the noise, in dB.", default=-10.0
    )
    snr_high_db: float = option("Highest of these levels, in dB.", default=20.0)
    level_dbfs: tuple[float, float] = (-35.0, -15.0)  # level of the active speech
    second_voice_gap_seconds: float = 0.3  # longest pause between two clips strung together
    second_noise: float = option("Probability of a second noise on top of the first.", default=0.3)
    babble: float = option(
        "Probability that the noise is three to eight voices of the training speech.", default=0.08
    )
    synthetic_noise: float = option(
        "Probability that the noise is computed: hum, hiss or crackle.", default=0.08
    )
    speed: float = option(
        "Probability that a voice is up to 15 % faster or slower, and as much higher or lower.",
        default=0.0,
    )
    equaliser: float = option(
        "Probability of a random tone control, for speech and for noise.", default=0.5
    )
    room: float = option(
        "Probability of a room around the speech, where there is rir/.", default=0.2
    )
    narrow_band: float = option("Probability of a narrow-band line.", default=0.04)
    overload: float = option("Probability that the mixture is clipped.", default=0.03)
    codec: float = option(
        "Probability that the mixture goes through Opus or MP3 at a low bit rate.", default=0.0
    )
    noise_alone: float = option("Probability of noise alone, with a silent target.", default=0.02)
    speech_alone: float = option("Probability of clean speech as the input.", default=0.03)
    remix: float = option(
        "Of pairs: probability that speech and noise of two are mixed anew.", default=0.5
    )
    band_mask: float = option(
        "Of pairs: widest share of the mel scale to cut out of a clip; 0.2 is usual.", default=0.0
    )

    def __post_init__(self) -> None:
        flags = flags_of(self)
        for name in _SHARES:
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise UsageError(f"{flags[name]} {share}: expected a share from 0 to 1")
        if self.noise_alone + self.speech_alone > 1:
            raise UsageError(
                f"--noise-alone {self.noise_alone} and --speech-alone {self.speech_alone}: "
                "expected no more than 1 together"
            )
        if self.babble + self.synthetic_noise > 1:
            raise UsageError(
                f"--babble {self.babble} and --synthetic-noise {self.synthetic_noise}: "
                "expected no more than 1 together"
            )
        if not 0.1 <= self.segment_seconds <= 60:
            raise UsageError(
                f"--segment-seconds {self.segment_seconds}: expected a number from 0.1 to 60"
            )
        if not 0 <= self.second_voice_gap_seconds <= 60:
            gap = self.second_voice_gap_seconds
            raise UsageError(f"mixing: a pause of {gap} s, expected one from 0 to 60 s")
        _check_range("--snr-low-db and --snr-high-db", (self.snr_low_db, self.snr_high_db))
        _check_range("mixing: level_dbfs", self.level_dbfs)

    @property
    def segment_samples(self) -> int:
        """Samples of a training clip of the usual length, at 16 kHz."""
        return round(self.segment_seconds * SAMPLE_RATE_HZ)


def _check_range(name: str, limits: tuple[float, float]) -> None:
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise UsageError(f"{name}: from {low} to {high}, expected a range")
