"""How training clips are made. Imports nothing heavy, so that help texts are instant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MixingConfig:
    """How clips are mixed; the defaults are the shipped recipe.

    Pairs give clips as they were recorded, but for the level, and others whose noise (noisy minus
    clean) is mixed with other speech just as noise files are.
    """

    segment_seconds: float = 2.0
    snr_db: tuple[float, float] = (-5.0, 18.0)  # level of the active speech against the noise
    level_dbfs: tuple[float, float] = (-35.0, -15.0)  # level of the active speech
    second_noise: float = 0.3  # probability of a second noise on top of the first
    second_voice_gap_seconds: float = 0.3  # longest pause between two clips strung together
    equaliser: float = 0.5  # probability, for speech and for noise
    room: float = 0.2  # probability of a room around the speech
    narrow_band: float = 0.04  # probability of a narrow-band line
    overload: float = 0.03  # probability that the mixture is clipped
    noise_alone: float = 0.02  # probability of silence as the target
    speech_alone: float = 0.03  # probability of clean speech as the input
    remix: float = 0.5  # of pairs: probability that speech and noise of two are mixed anew
    band_mask: float = 0.0  # of pairs: widest share of the mel scale to cut out; 0.2 is usual
