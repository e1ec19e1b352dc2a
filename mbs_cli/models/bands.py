"""The band table: how 257 frequency bins are shared out among 31 bands.

Narrow bands where voiced harmonics lie, wide ones above (Yu et al., arXiv 2212.00406, section 2).
Bin f stands for f * 31.25 Hz: the first band ends at 62.5 Hz, the last at 8 kHz.
"""

from __future__ import annotations

BAND_WIDTHS: tuple[int, ...] = (2,) + (3,) * 10 + (8,) * 12 + (16,) * 7 + (17,)
BANDS = len(BAND_WIDTHS)
BINS = sum(BAND_WIDTHS)
