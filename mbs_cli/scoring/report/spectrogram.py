"""Spectrograms as small images. F rows of frequency (lowest first), T columns of time, S samples.

The images carry no axes: the page draws these, so that text stays sharp at every width.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

WINDOW_SECONDS = 0.032
SHORTEST_WINDOW = 32  # samples
ROWS = 256
MOST_COLUMNS = 900
RANGE_DB = 80.0  # from the brightest to the darkest colour
COLOURS = "magma"  # even in brightness, and read alike with every kind of colour vision
QUALITY = 60  # of WebP: about 40 kB

_FLOOR = 1e-10


def levels_db(samples: NDArray[np.float32], sample_rate_hz: int) -> NDArray[np.float32]:
    """Levels (ROWS, T) from 0 Hz to half the sample rate of a signal (S,), in dB.

    Rows are evenly wide bands: where the transform has more bins than rows, the mean power of
    neighbours; where it has fewer, a bin is repeated.
    """
    import librosa

    window = max(SHORTEST_WINDOW, 2 ** round(np.log2(WINDOW_SECONDS * sample_rate_hz)))
    hop = max(window // 4, -(-len(samples) // MOST_COLUMNS))
    samples = np.pad(samples, (0, max(0, window - len(samples))))
    # Zeros rather than reflections beyond the ends: these are defined for one sample too.
    spectrum = librosa.stft(samples, n_fft=window, hop_length=hop, pad_mode="constant")
    power = np.square(np.abs(spectrum[1:])) / (window / 4) ** 2  # a full-scale sine is at 0 dB
    return np.asarray(10.0 * np.log10(np.maximum(_rows(power), _FLOOR)), dtype=np.float32)


def _rows(power: NDArray[np.float32]) -> NDArray[np.float32]:
    bins = len(power)
    if bins <= ROWS:
        return np.repeat(power, ROWS // bins, axis=0)
    return np.asarray(power.reshape(ROWS, bins // ROWS, -1).mean(axis=1))


def to_image(levels: NDArray[np.float32], ceiling_db: float) -> bytes:
    """Levels (F, T) as a WebP image, the lowest frequency at the bottom.

    Images with the same ceiling can be compared by eye.
    """
    from matplotlib.image import imsave  # draws without any display or backend

    file = io.BytesIO()
    imsave(
        file,
        levels,
        vmin=ceiling_db - RANGE_DB,
        vmax=ceiling_db,
        cmap=COLOURS,
        origin="lower",
        format="webp",
        pil_kwargs={"quality": QUALITY},
    )
    return file.getvalue()


def to_pixels(levels: NDArray[np.float32], ceiling_db: float) -> NDArray[np.uint8]:
    """Levels (F, T) as red, green and blue (F, T, 3), the lowest frequency at the bottom."""
    from matplotlib import colormaps

    shares = np.clip((levels[::-1] - ceiling_db) / RANGE_DB + 1, 0.0, 1.0)
    return np.asarray(colormaps[COLOURS](shares, bytes=True)[..., :3])
