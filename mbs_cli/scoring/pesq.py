"""PESQ, wide-band (ITU-T P.862.2) and narrow-band (P.862.1), through the `pesq` package.

The package has failure modes that look like something else; each becomes `NotApplicable` here:
a silent estimate (a plain ValueError about NaN), less than a quarter of a second (code -6), no
utterance found (code -7), unequal lengths (scored without a word), and more than 50 utterances,
which overrun a table (`pesq_utterances`). Should the package end its process all the same, that
costs one metric of one pair, which is why `runner` scores in worker processes.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from mbs_cli.scoring.pesq_utterances import (
    MOST_UTTERANCES,
    SAFE_SECONDS,
    TABLE_ENTRIES,
    count_utterances,
)
from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable, Signal, check_pair

SHORTEST_SECONDS = 0.25


def pesq_wb(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """MOS-LQO between about 1.02 and 4.64 of two signals (S,) at 16 kHz; higher is better.

    Raises:
        NotApplicable: the pair cannot be scored, or the package is not installed.
    """
    return _pesq(reference, estimate, "wb")


def pesq_nb(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """MOS-LQO between about 1.02 and 4.55, of what a telephone lets through; see `pesq_wb`."""
    return _pesq(reference, estimate, "nb")


def _pesq(reference: NDArray[Any], estimate: NDArray[Any], mode: str) -> float:
    clean, enhanced = check_pair(reference, estimate, SHORTEST_SECONDS)
    try:
        from pesq import pesq
    except ImportError as error:
        raise NotApplicable(
            "the pesq package is not installed (pip install pesq; it needs a C compiler)"
        ) from error
    _check_utterances(clean, mode)
    try:
        score = float(pesq(SAMPLE_RATE_HZ, clean, enhanced, mode))
    except (RuntimeError, ValueError) as error:
        raise NotApplicable(f"pesq: {_reason(error)}") from error
    if not math.isfinite(score):
        raise NotApplicable("pesq returned no finite value")
    return score


def _check_utterances(clean: Signal, mode: str) -> None:
    seconds = clean.size / SAMPLE_RATE_HZ
    if seconds <= SAFE_SECONDS:
        return
    utterances = count_utterances(clean, is_wide_band=mode == "wb")
    if utterances is None:
        raise NotApplicable(
            f"pesq: {seconds:.0f} s; beyond {SAFE_SECONDS:.0f} s its table of {TABLE_ENTRIES} "
            "utterances may be overrun, which cannot be checked here; score it in pieces"
        )
    if utterances > MOST_UTTERANCES:
        raise NotApplicable(
            f"pesq: {utterances} utterances, and its table holds {TABLE_ENTRIES}; score the file "
            "in pieces"
        )


def _reason(error: Exception) -> str:
    """The package's messages are byte strings inside exceptions."""
    detail = error.args[0] if error.args else type(error).__name__
    text = detail.decode("ascii", "replace") if isinstance(detail, bytes) else str(detail)
    return text[:1].lower() + text[1:]
