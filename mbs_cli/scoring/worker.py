"""A child process that scores pairs, for metrics that are slow and may end their process.

It never imports torch, and its death costs one metric of one pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mbs_cli.child_process import ChildDied, ChildProcess
from mbs_cli.scoring.metrics import families_of
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.score import PairScore, empty_row


class WorkerDied(Exception):
    """The child process ended before it answered."""


class Worker:
    """One child process, started on first use and again after each death."""

    def __init__(self) -> None:
        self._child: ChildProcess | None = None
        self._stopped = False

    def score(self, pair: ScorePair, metrics: Sequence[str]) -> PairScore:
        """The scores of one pair; a metric that ends its process gets that as its reason.

        Raises:
            WorkerDied: `stop` was called meanwhile.
        """
        try:
            return self._ask(pair, metrics)
        except WorkerDied:
            return self._score_by_family(pair, metrics)

    def stop(self) -> None:
        """End the child at once; whoever waits for its answer gets `WorkerDied`."""
        self._stopped = True
        if self._child is not None:
            self._child.stop()

    def close(self) -> None:
        """Release what a stopped worker holds."""
        self.stop()
        if self._child is not None:
            self._child.close()

    def _score_by_family(self, pair: ScorePair, metrics: Sequence[str]) -> PairScore:
        """One question per family, so that only the fatal one is lost."""
        row = empty_row(pair)
        for family in families_of(metrics):
            keys = family.keys_among(metrics)
            try:
                part = self._ask(pair, keys)
            except WorkerDied as death:
                if self._stopped:
                    raise
                row.reasons.update(dict.fromkeys(keys, str(death)))
            else:
                values, reasons = row.values | part.values, row.reasons | part.reasons
                row = replace(part, values=values, reasons=reasons)
        return row

    def _ask(self, pair: ScorePair, metrics: Sequence[str]) -> PairScore:
        child = self._running()
        try:
            child.ask((pair, tuple(metrics)))
            row: PairScore = child.answer()
        except ChildDied as death:
            self._child = None
            raise WorkerDied(f"the metric ended its process {death}") from death
        return row

    def _running(self) -> ChildProcess:
        if self._stopped:
            raise WorkerDied("scoring was stopped")
        if self._child is None:
            self._child = ChildProcess("mbs_cli.scoring.worker_process")
        return self._child
