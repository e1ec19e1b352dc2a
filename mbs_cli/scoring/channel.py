"""One channel of a pair, and what has been computed of it already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from mbs_cli.scoring.signals import NotApplicable, check_value

Measure = Callable[[NDArray[Any], NDArray[Any]], float]


class Channel:
    """Reference and estimate (S,). The composites share what other metrics computed."""

    def __init__(self, reference: NDArray[Any] | None, estimate: NDArray[Any]) -> None:
        self.reference = reference
        self.estimate = estimate
        self._known: dict[Measure, float | NotApplicable] = {}

    def once(self, measure: Measure) -> float:
        """`measure(reference, estimate)`, computed at the first call.

        Raises:
            NotApplicable: it has no finite value here, or there is no reference.
        """
        if self.reference is None:
            raise NotApplicable("needs a reference")
        if measure not in self._known:
            try:
                self._known[measure] = check_value(measure(self.reference, self.estimate))
            except NotApplicable as reason:
                self._known[measure] = reason
        known = self._known[measure]
        if isinstance(known, NotApplicable):
            raise NotApplicable(str(known))
        return known
