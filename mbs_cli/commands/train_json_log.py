"""`mbs train --json-log`: the events as lines of JSON beside what is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mbs_cli.errors import UsageError
from mbs_cli.training.events import Event, OnEvent, Remark
from mbs_cli.training.records.json_log import JsonLog

_STDOUT = Path("-")


def fills_standard_output(target: Path | None) -> bool:
    """Whether the log takes the place of anything else on standard output."""
    return target == _STDOUT


@contextmanager
def log_beside(show: OnEvent, target: Path | None) -> Iterator[OnEvent]:
    """A listener that shows events and logs them; without a target it only shows them.

    A log that can no longer be written, as when its reader has gone, is given up with a remark.
    Raises UsageError for one that cannot be opened.
    """
    if target is None:
        yield show
        return
    with closing(_open(target)) as log:
        is_open = True

        def on_event(event: Event) -> None:
            nonlocal is_open
            show(event)
            if not is_open:
                return
            try:
                log.write(event)
            except OSError as error:
                is_open = False
                show(Remark(f"--json-log {target}: {error.strerror}; the run goes on without it"))

        yield on_event


def _open(target: Path) -> JsonLog:
    try:
        if target == _STDOUT:
            return JsonLog(sys.stdout.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        return JsonLog(target)
    except OSError as error:
        raise UsageError(
            f"--json-log {target}: cannot be written ({error.strerror})", "choose another place"
        ) from error
