"""PESQ of training clips, measured in child processes beside the training step.

B batch, S samples at 16 kHz.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from importlib.util import find_spec

from torch import Tensor

from mbs_cli.errors import UsageError
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.runner import open_workers
from mbs_cli.scoring.score import PairScore

_METRIC = "pesq_wb"
_MOST_WORKERS = 8

Measurement = Future[PairScore]


class PesqLabels:
    """Child processes that measure wide-band PESQ; they start with the first clip.

    A child that dies is replaced, and its clip is measured once more. All of them end when this
    object is closed or forgotten. Raises UsageError if the pesq package is not installed.
    """

    def __init__(self, workers: int | None = None) -> None:
        if find_spec("pesq") is None:
            raise UsageError(
                "--metric-weight needs the pesq package, which is not installed",
                "pip install pesq (it needs a C compiler), or leave --metric-weight at 0",
            )
        children = ExitStack()
        self._submit = children.enter_context(open_workers(workers or _default_workers()))
        self._end_children = weakref.finalize(self, children.close)

    def submit(self, clean: Tensor, heard: Tensor) -> list[Measurement]:
        """Begin to measure every pair of clips (B, S); returns at once."""
        pairs = zip(clean.cpu().numpy(), heard.cpu().numpy(), strict=True)
        return [self._submit(ScorePair("clip", *pair), (_METRIC,)) for pair in pairs]

    def close(self) -> None:
        """End the children; what they have not measured yet is given up."""
        self._end_children()


def wait_for_pesq(measurements: Sequence[Measurement]) -> tuple[list[float | None], str]:
    """The PESQ of each clip, None where there is none, and why that is so for the last of these."""
    rows = [measurement.result() for measurement in measurements]
    reasons = [row.reasons[_METRIC] for row in rows if _METRIC in row.reasons]
    return [row.values.get(_METRIC) for row in rows], reasons[-1] if reasons else ""


def _default_workers() -> int:
    """The cores that this process has to itself under torchrun, less the one that it runs on."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(_MOST_WORKERS, max(1, (os.cpu_count() or 1) // processes - 1))
