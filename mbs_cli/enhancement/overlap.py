"""Reading and writing in threads of their own while the model computes in the caller's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")

_END: Any = object()
_WAITING_ITEMS = 2


def read_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each drawn in a thread while the caller works on the one before."""
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as thread:
        coming = thread.submit(next, iterator, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, iterator, _END)
            yield item


@contextmanager
def written_behind(write: Callable[[Item], None]) -> Iterator[Callable[[Item], None]]:
    """`write` as a function that returns at once: a thread does the work, in order.

    At most two items wait. A failure is raised by a later call or at the end.
    """
    waiting: deque[Future[None]] = deque()

    def hand_over(item: Item) -> None:
        waiting.append(thread.submit(write, item))
        if len(waiting) > _WAITING_ITEMS:
            waiting.popleft().result()

    with ThreadPoolExecutor(1, thread_name_prefix="writing") as thread:
        yield hand_over
        while waiting:
            waiting.popleft().result()
