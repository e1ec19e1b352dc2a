"""Log-likelihood ratio of linear prediction (Hu & Loizou 2008, equation 3).

T frames, P = 16 the order of the prediction, W samples per frame.

    LLR = log( a_e R a_e' / a_s R a_s' )

with the prediction filters a_s of the reference and a_e of the estimate, and the autocorrelation
matrix R of the reference: how much worse the estimate's filter predicts the reference. The worst
5 % of the frames are left out of the mean. Each frame is limited to 2 as in the paper, except
within the composites: the authors' program for those, which made the figures that others compare
with, has no such limit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.scoring.frames import SHORTEST_SECONDS, frame_blocks, trimmed_mean
from mbs_cli.scoring.signals import check_pair

ORDER = 16
HIGHEST = 2.0
_EPSILON = float(np.finfo(np.float64).eps)  # keeps frames of digital silence defined


def llr(reference: NDArray[Any], estimate: NDArray[Any], highest: float = HIGHEST) -> float:
    """LLR of two signals (S,) at 16 kHz, each frame between 0 and `highest`; lower is better.

    Raises:
        NotApplicable: the pair cannot be scored.
    """
    clean, enhanced = check_pair(reference, estimate, SHORTEST_SECONDS)
    blocks = frame_blocks(clean + _EPSILON, enhanced + _EPSILON)
    return trimmed_mean(
        np.concatenate([np.minimum(_distances(*frames), highest) for frames in blocks])
    )


def _distances(clean: NDArray[Any], enhanced: NDArray[Any]) -> NDArray[Any]:
    """The distance of each frame, (T, W) twice to (T,)."""
    correlation = _autocorrelation(clean)
    error = _prediction_error(_filters(_autocorrelation(enhanced)), correlation)
    least_error = _prediction_error(_filters(correlation), correlation)
    ratio = error / np.maximum(least_error, np.finfo(np.float64).tiny)
    distances: NDArray[Any] = np.log(np.maximum(ratio, 1.0))
    return distances


def _autocorrelation(frames: NDArray[Any]) -> NDArray[Any]:
    """Lags 0..P of each row: (T, W) to (T, P + 1)."""
    samples = frames.shape[1]
    lags = [
        np.einsum("tw,tw->t", frames[:, : samples - lag], frames[:, lag:])
        for lag in range(ORDER + 1)
    ]
    return np.stack(lags, axis=1)


def _filters(correlation: NDArray[Any]) -> NDArray[Any]:
    """Levinson-Durbin recursion on each row: (T, P + 1) to filters (T, P + 1) that start with 1."""
    filters = np.zeros_like(correlation)
    filters[:, 0] = 1.0
    error = correlation[:, 0].copy()
    for order in range(1, ORDER + 1):
        residue = np.einsum("tk,tk->t", filters[:, :order], correlation[:, order:0:-1])
        reflection = (-residue / error)[:, None]
        filters[:, : order + 1] += reflection * filters[:, order::-1]
        error *= 1.0 - reflection[:, 0] ** 2
    return filters


def _prediction_error(filters: NDArray[Any], correlation: NDArray[Any]) -> NDArray[Any]:
    """The quadratic form a R a' of each row, R the Toeplitz matrix of `correlation`.

    (T, P + 1) twice to (T,).
    """
    own = _autocorrelation(filters)
    both_sides = 2.0 * np.sum(own[:, 1:] * correlation[:, 1:], axis=1)
    error: NDArray[Any] = own[:, 0] * correlation[:, 0] + both_sides
    return error
