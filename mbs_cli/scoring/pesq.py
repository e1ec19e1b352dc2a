"""PESQ, wide-band (ITU-T P.862.2), through the `pesq` package.

The package has failure modes that look like something else; each becomes `NotApplicable` here:
a silent estimate (a plain ValueError about NaN), less than a quarter of a second (code -6), no
utterance found (code -7), unequal lengths (scored without a word). One cannot be caught in the
process that meets it: more than 50 utterances overrun a table in its C code and end the process,
which is why `runner` scores in worker processes.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable, check_pair

SHORTEST_SECONDS = 0.25


def pesq_wb(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """MOS-LQO between about 1.02 and 4.64 of two signals (S,) at 16 kHz; higher is better.

    Raises:
        NotApplicable: the pair cannot be scored, or the package is not installed.
    """
    clean, enhanced = check_pair(reference, estimate, SHORTEST_SECONDS)
    try:
        from pesq import pesq
    except ImportError as error:
        raise NotApplicable(
            "the pesq package is not installed (pip install pesq; it needs a C compiler)"
        ) from error
    try:
        score = float(pesq(SAMPLE_RATE_HZ, clean, enhanced, "wb"))
    except (RuntimeError, ValueError) as error:
        raise NotApplicable(f"pesq: {_reason(error)}") from error
    if not math.isfinite(score):
        raise NotApplicable("pesq returned no finite value")
    return score


def _reason(error: Exception) -> str:
    """The package's messages are byte strings inside exceptions."""
    detail = error.args[0] if error.args else type(error).__name__
    text = detail.decode("ascii", "replace") if isinstance(detail, bytes) else str(detail)
    return text[:1].lower() + text[1:]
