"""What happens to sound on its way to a listener: rooms, tone controls, overload, codecs.

Arrays are float32 (S,) at 16 kHz; `rng` decides everything random.
"""

from __future__ import annotations

import io

import numpy as np

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples

# Reflections that arrive this soon are heard as part of the voice and stay in the target
# (Bradley et al. 2003, "early" energy: 50 ms).
EARLY_SECONDS = 0.05


def random_equaliser(samples: Samples, rng: np.random.Generator) -> Samples:
    """A gentle random second-order filter, as cheap microphones have (Valin, arXiv 1709.08243).

    All four coefficients are drawn from -3/8 to 3/8: at most about 12 dB of tilt, always stable.
    """
    from scipy.signal import lfilter

    b1, b2, a1, a2 = rng.uniform(-3 / 8, 3 / 8, size=4)
    filtered: Samples = lfilter([1.0, b1, b2], [1.0, a1, a2], samples).astype(np.float32)
    return filtered


def in_room(samples: Samples, rir: Samples) -> tuple[Samples, Samples]:
    """The voice in a room, and its early part alone, both as long as and aligned with `samples`.

    The direct sound keeps its place in time, its level and its polarity.
    """
    from scipy.signal import oaconvolve

    direct = int(np.abs(rir).argmax())
    scaled = rir[direct:] / rir[direct]
    early = scaled[: int(EARLY_SECONDS * SAMPLE_RATE_HZ)]
    whole = oaconvolve(samples, scaled)[: len(samples)]
    return whole.astype(np.float32), oaconvolve(samples, early)[: len(samples)].astype(np.float32)


def low_pass(samples: Samples, cutoff_hz: float) -> Samples:
    """What a narrow-band line leaves of the sound."""
    from scipy.signal import butter, sosfilt

    sections = butter(6, cutoff_hz, fs=SAMPLE_RATE_HZ, output="sos")
    filtered: Samples = sosfilt(sections, samples).astype(np.float32)
    return filtered


def overload(samples: Samples, share: float) -> Samples:
    """Clipped at that share of the peak."""
    limit = share * float(np.abs(samples).max())
    return np.clip(samples, -limit, limit)


def sped_up(samples: Samples, factor: float) -> Samples:
    """The sound at `factor` times the speed and the pitch, so much shorter."""
    import soxr

    faster: Samples = soxr.resample(samples, factor * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
    return faster


def through_codec(samples: Samples, is_opus: bool, strength: float) -> Samples:
    """What Opus (about 10 to 30 kbit/s) or MP3 (16 to 40) leaves of the sound, without delay.

    `strength` from 0 to 1 is how much is saved.
    """
    import soundfile

    kind, subtype = ("OGG", "OPUS") if is_opus else ("MP3", "MPEG_LAYER_III")
    low, high = (0.92, 1.0) if is_opus else (0.5, 0.98)  # libsndfile's compression levels
    level = low + strength * (high - low)
    coded = io.BytesIO()
    soundfile.write(
        coded, samples, SAMPLE_RATE_HZ, format=kind, subtype=subtype, compression_level=level
    )
    coded.seek(0)
    decoded, _ = soundfile.read(coded, len(samples), dtype="float32")
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def band_stop(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """The sound (..., S) without what lies from `low_hz` to below `high_hz`."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(samples.shape[-1], 1 / SAMPLE_RATE_HZ)
    spectrum[..., (frequencies >= low_hz) & (frequencies < high_hz)] = 0.0
    return np.fft.irfft(spectrum, samples.shape[-1]).astype(np.float32)


def random_band_hz(widest: float, rng: np.random.Generator) -> tuple[float, float]:
    """A band anywhere, at most that share of the mel scale wide (O'Shaughnessy's formula)."""
    highest_mel = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    low_mel = rng.uniform(0.0, highest_mel)
    high_mel = low_mel + rng.uniform(0.0, widest) * highest_mel
    low_hz, high_hz = (700 * (10 ** (mel / 2595) - 1) for mel in (low_mel, high_mel))
    return float(low_hz), float(high_hz)
