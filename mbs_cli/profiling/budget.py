"""The largest batch size that fits into a memory, found by measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mbs_cli.profiling.options import MOST_CLIPS
from mbs_cli.profiling.results import LargestBatch

_MEASUREMENTS_BY_LINE = 5

# The peak in bytes at a batch size; None where it does not fit into memory at all.
PeakAt = Callable[[int], "int | None"]


def largest_batch(
    peak_at: PeakAt, budget_bytes: int, known: Mapping[int, int | None] | None = None
) -> LargestBatch:
    """Close in on the last batch size whose measured peak is within the budget.

    Memory is close to a straight line over the batch size: two measurements predict where the
    budget ends, and what is predicted is measured, and the size after it too. `known` are peaks
    measured before.
    """
    peaks = dict(known or {})
    while True:
        fitting = [size for size, peak in peaks.items() if _is_within(peak, budget_bytes)]
        low = max(fitting, default=0)
        high = min((size for size in peaks if size > low), default=None)
        if low + 1 == high or low == MOST_CLIPS:
            break
        size = _next_size(peaks, budget_bytes, low, high)
        peaks[size] = peak_at(size)
    return LargestBatch(low, peaks.get(low), peaks.get(low + 1))


def _is_within(peak: int | None, budget_bytes: int) -> bool:
    return peak is not None and peak <= budget_bytes


def _next_size(
    peaks: Mapping[int, int | None], budget_bytes: int, low: int, high: int | None
) -> int:
    """Where a line through two measured points meets the budget, between `low` and `high`.

    One is at `low`, the other far from it, as peaks scatter by a few MB from run to run. The
    middle where there is no such line, or where it has not led there in a few measurements.
    """
    if low == 0:
        return 1
    if high is not None and (peaks[high] is None or len(peaks) > _MEASUREMENTS_BY_LINE):
        return (low + high) // 2
    measured = {size: peak for size, peak in peaks.items() if peak is not None}
    furthest = max(measured, key=lambda size: abs(size - low))
    guess = 2 * low
    if furthest != low:
        slope = (measured[furthest] - measured[low]) / (furthest - low)
        if slope > 0:
            guess = low + int((budget_bytes - measured[low]) / slope)
    most = MOST_CLIPS if high is None else high - 1
    return min(max(guess, low + 1), most)
