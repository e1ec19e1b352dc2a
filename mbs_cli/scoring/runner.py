"""Scoring many pairs, in parallel over child processes.

One thread per child waits for its answers; at most a few pairs per child are under way, so that
memory does not grow with the number of pairs. Torch is never imported, here or in the children.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import LifoQueue

from mbs_cli.scoring.metrics import DEFAULT_METRICS, check_metrics
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.score import PairScore, Scores
from mbs_cli.scoring.worker import Worker

_PAIRS_UNDER_WAY_PER_JOB = 4

OnScored = Callable[[int, PairScore], None]


def score_pairs(
    pairs: Iterable[ScorePair],
    metrics: Sequence[str] = DEFAULT_METRICS,
    jobs: int | None = None,
    on_scored: OnScored | None = None,
) -> Scores:
    """The scores of all pairs, rows in the order of the pairs.

    Args:
        pairs: read once, a few at a time; a generator keeps memory flat.
        metrics: keys of `metrics.METRICS`.
        jobs: child processes; None takes every core.
        on_scored: called after each row with the number of rows so far and the row.

    Raises:
        UsageError: a metric that does not exist.
    """
    rows: list[PairScore] = []
    for row in iterate_scores(pairs, metrics, jobs):
        rows.append(row)
        if on_scored is not None:
            on_scored(len(rows), row)
    return Scores(check_metrics(metrics), tuple(rows))


def iterate_scores(
    pairs: Iterable[ScorePair],
    metrics: Sequence[str] = DEFAULT_METRICS,
    jobs: int | None = None,
) -> Generator[PairScore, None, None]:
    """The rows of `score_pairs` one by one; closing the iterator ends the children at once."""
    keys = check_metrics(metrics)
    children = max(1, jobs or os.cpu_count() or 1)
    with open_workers(children) as submit:
        under_way: deque[Future[PairScore]] = deque()
        for pair in pairs:
            under_way.append(submit(pair, keys))
            if len(under_way) == children * _PAIRS_UNDER_WAY_PER_JOB:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


@contextmanager
def open_workers(
    count: int,
) -> Iterator[Callable[[ScorePair, Sequence[str]], Future[PairScore]]]:
    """A function that hands a pair to the next idle one of `count` workers, and returns at once.

    The workers start when they are first needed and end with the context.
    """
    workers = [Worker() for _ in range(count)]
    idle: LifoQueue[Worker] = LifoQueue()  # the last one used is the one already started
    for worker in workers:
        idle.put(worker)

    def score(pair: ScorePair, metrics: Sequence[str]) -> PairScore:
        worker = idle.get()
        try:
            return worker.score(pair, metrics)
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(count, thread_name_prefix="scoring")
    try:
        yield lambda pair, metrics: threads.submit(score, pair, metrics)
    finally:
        for worker in workers:
            worker.stop()
        threads.shutdown(wait=True, cancel_futures=True)
        for worker in workers:
            worker.close()
