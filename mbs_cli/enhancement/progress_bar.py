"""A tqdm bar over seconds of audio, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from mbs_cli.enhancement.report import Advanced, CompilingKernels, Event, Listener, Started


@contextmanager
def progress_bar(*, is_shown: bool) -> Iterator[Listener]:
    """A listener that moves a bar, or does nothing unless `is_shown`."""
    if not is_shown:
        yield lambda _: None
        return
    with _open_bar() as bar:
        yield partial(_show, bar)


def _open_bar() -> Any:
    from tqdm.auto import tqdm

    return tqdm(unit="s", unit_scale=True, desc="enhancing")


def _show(bar: Any, event: Event) -> None:
    match event:
        case Started(seconds=seconds):
            bar.reset(total=round(seconds, 2))
        case CompilingKernels():
            bar.set_postfix_str("compiling kernels once, about 20 s")
        case Advanced(seconds=seconds):
            bar.set_postfix_str("")
            bar.update(round(seconds, 2))
