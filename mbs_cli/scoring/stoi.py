"""Short-time objective intelligibility and its extended form, through the `pystoi` package.

STOI: Taal et al., IEEE TASLP 2011. ESTOI: Jensen & Taal, IEEE/ACM TASLP 2016. Both compare 0.384 s
stretches of speech; where too little is left after the package drops silent frames it warns and
returns 1e-5, which would look like a very bad score.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from numpy.typing import NDArray

from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable, check_pair

SHORTEST_SECONDS = 0.4
_TOO_LITTLE_SPEECH = "Not enough STFT frames"


def stoi(reference: NDArray[Any], estimate: NDArray[Any], extended: bool = False) -> float:
    """STOI (or ESTOI) of two signals (S,) at 16 kHz, at most 1; higher is better.

    Raises:
        NotApplicable: the pair cannot be scored, or the package is not installed.
    """
    clean, enhanced = check_pair(reference, estimate, SHORTEST_SECONDS)
    try:
        from pystoi import stoi as package_stoi
    except ImportError as error:
        raise NotApplicable("the pystoi package is not installed (pip install pystoi)") from error
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=_TOO_LITTLE_SPEECH, category=RuntimeWarning)
        try:
            score = float(package_stoi(clean, enhanced, SAMPLE_RATE_HZ, extended=extended))
        except RuntimeWarning as warning:
            raise NotApplicable("stoi: less than 0.4 s of speech in the reference") from warning
    if not math.isfinite(score):
        raise NotApplicable("stoi returned no finite value")
    return score


def estoi(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """Extended STOI; see `stoi`."""
    return stoi(reference, estimate, extended=True)
