"""Many tasks over several processes, each with a model and its share of the threads.

One thread per process waits for what it tells. A process that dies costs the file it was at: what
it had not finished is given out again, one file at a time, until one of them ends a process again.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from mbs_cli.child_process import ChildDied, ChildProcess
from mbs_cli.enhancement.engine import Engine
from mbs_cli.enhancement.report import (
    Advanced,
    CompilingKernels,
    Event,
    FileReport,
    Finished,
    Listener,
    ModelLoaded,
    MovedToCpu,
)
from mbs_cli.enhancement.task import Task
from mbs_cli.errors import MbsError, OutOfMemory

_MODULE = "mbs_cli.enhancement.worker_process"
_SHARE_SECONDS = 120.0  # channel-seconds handed out at once, less if there are few
_SHARE_FILES = 64

# What a thread puts: an event of its process, a failure that ends everything, None at its end.
_Told = Event | Exception | None


def run_in_processes(
    engine: Engine, tasks: Sequence[Task], listen: Listener
) -> Iterator[FileReport]:
    """Enhance every task, the longest first; yield the reports as they come.

    Raises what loading the model raises.
    """
    work = deque(_shares(tasks, engine.jobs))
    told: SimpleQueue[_Told] = SimpleQueue()
    workers = [_Worker(engine.share(), work, told) for _ in range(min(engine.jobs, len(work)))]
    with ThreadPoolExecutor(max(1, len(workers)), thread_name_prefix="enhancing") as threads:
        try:
            for worker in workers:
                threads.submit(worker.run)
            yield from _listen(told, len(workers), listen)
        finally:
            work.clear()
            for worker in workers:
                worker.stop()


def _shares(tasks: Sequence[Task], jobs: int) -> list[list[Task]]:
    """The tasks in portions, the longest files first, so that all processes end together."""
    most_seconds = min(_SHARE_SECONDS, sum(task.channel_seconds for task in tasks) / jobs)
    most_files = min(_SHARE_FILES, math.ceil(len(tasks) / jobs))
    shares: list[list[Task]] = []
    seconds = 0.0
    for task in sorted(tasks, key=lambda task: -task.channel_seconds):
        seconds += task.channel_seconds
        if not shares or seconds > most_seconds or len(shares[-1]) == most_files:
            shares.append([])
            seconds = task.channel_seconds
        shares[-1].append(task)
    return shares


def _listen(told: SimpleQueue[_Told], running: int, listen: Listener) -> Iterator[FileReport]:
    """The reports among all that is told; what every process tells once is passed on once."""
    seen: set[Event] = set()
    while running:
        event = told.get()
        if event is None:
            running -= 1
        elif isinstance(event, Exception):
            raise event
        elif isinstance(event, Finished):
            yield event.report
        elif event not in seen:
            if isinstance(event, ModelLoaded | CompilingKernels | MovedToCpu):
                seen.add(event)
            listen(event)


class _Worker:
    """One process after another, doing what there is to do."""

    def __init__(self, engine: Engine, work: deque[list[Task]], told: SimpleQueue[_Told]) -> None:
        self._engine, self._work, self._told = engine, work, told
        self._child: ChildProcess | None = None
        self._stopped = False

    def run(self) -> None:
        """Work until there is nothing left."""
        try:
            while not self._stopped and (share := self._next_share()):
                self._do(share)
            self._told.put(None)
        except Exception as error:  # noqa: BLE001 - raised where the reports are awaited
            self._told.put(error)
        finally:
            if self._child is not None:
                self._child.close()

    def stop(self) -> None:
        """End at once; the file under way is left as if it had not been begun."""
        self._stopped = True
        child = self._child
        if child is not None:
            child.stop()

    def _next_share(self) -> list[Task] | None:
        try:
            return self._work.popleft()
        except IndexError:
            return None

    def _do(self, share: list[Task]) -> None:
        left: dict[Path | None, Task] = {task.target: task for task in share}
        told_seconds: defaultdict[Path, float] = defaultdict(float)
        try:
            for event in self._ask(share):
                if isinstance(event, Finished):
                    del left[event.report.target]
                elif isinstance(event, Advanced):
                    told_seconds[event.source] += event.seconds
                self._told.put(event)
        except ChildDied as death:
            self._child = None
            if self._stopped:
                return
            for task in left.values():
                path = task.info.path
                self._told.put(Advanced(path, -told_seconds.pop(path, 0.0)))
            if len(share) > 1:
                self._work.extendleft([task] for task in left.values())
                return
            for task in left.values():
                self._told.put(Finished(task.failed(_fatal(task.info.path, death))))

    def _ask(self, share: list[Task]) -> Iterator[Event]:
        if self._child is None:
            self._child = ChildProcess(_MODULE, self._engine.threads or 1, tidies_up=True)
            if self._stopped:  # meanwhile
                self._child.stop()
            yield from _answers(self._child, self._engine)
        yield from _answers(self._child, share)


def _answers(child: ChildProcess, question: object) -> Iterator[Event]:
    child.ask(question)
    while (answer := child.answer()) is not None:
        if isinstance(answer, MbsError):
            raise answer
        if isinstance(answer, str):
            raise RuntimeError(f"an enhancing process failed:\n{answer}")  # noqa: TRY004
        yield answer


def _fatal(path: Path, death: ChildDied) -> MbsError:
    return OutOfMemory(
        f"{path}: its process ended {death}, as happens when the memory is full",
        "run it again with fewer --jobs",
    )
