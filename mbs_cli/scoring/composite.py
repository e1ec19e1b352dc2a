"""Three listener ratings predicted from four measures (Hu & Loizou, IEEE TASLP 16(1), 2008).

Regressions from 1 to 5 on the ITU-T P.835 scales, as in the authors' program: signal distortion
(CSIG), intrusiveness of the background (CBAK) and overall quality (COVL). PESQ is the wide-band
one here, as in today's tables for 16 kHz speech.
"""

from __future__ import annotations

LOWEST, HIGHEST = 1.0, 5.0


def csig(pesq: float, llr: float, wss: float) -> float:
    """The rating of the speech alone."""
    return _limit(3.093 - 1.029 * llr + 0.603 * pesq - 0.009 * wss)


def cbak(pesq: float, wss: float, segmental_snr_db: float) -> float:
    """The rating of the background."""
    return _limit(1.634 + 0.478 * pesq - 0.007 * wss + 0.063 * segmental_snr_db)


def covl(pesq: float, llr: float, wss: float) -> float:
    """The rating of the whole."""
    return _limit(1.594 + 0.805 * pesq - 0.512 * llr - 0.007 * wss)


def _limit(rating: float) -> float:
    return min(max(rating, LOWEST), HIGHEST)
