"""What `mbs live` shows: a line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mbs_cli.enhancement.live import LiveStatus

_PRINTED_EVERY_SECONDS = 10.0  # where lines stay


@contextmanager
def status_line() -> Iterator[Callable[[LiveStatus], None]]:
    """A function that shows a status on stderr."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("starting") as line:
            yield lambda status: line.update(_describe(status))
        return
    shown_seconds = -_PRINTED_EVERY_SECONDS

    def show(status: LiveStatus) -> None:
        nonlocal shown_seconds
        if status.seconds - shown_seconds >= _PRINTED_EVERY_SECONDS:
            shown_seconds = status.seconds
            print(_describe(status), file=sys.stderr, flush=True)

    yield show


def _describe(status: LiveStatus) -> str:
    return (
        f"{status.seconds:.1f} s  delay {status.latency.total * 1000:.0f} ms  "
        f"load {status.real_time_factor:.0%}  worst block {status.worst_block_seconds * 1000:.1f} "
        f"of {status.block_seconds * 1000:.0f} ms  underruns {status.underruns}  "
        f"overruns {status.overruns}"
    )


def print_end(status: LiveStatus) -> None:
    """The result on stdout."""
    latency = status.latency
    parts = {
        "block": latency.block,
        "model and resampling": latency.model,
        "computing": latency.computing,
        "device": latency.device,
    }
    told = ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in parts.items())
    table = Table("", "", show_header=False)
    table.add_row("sound", f"{status.seconds:.1f} s")
    table.add_row("delay", f"{latency.total * 1000:.0f} ms ({told})")
    table.add_row("real-time factor", f"{status.real_time_factor:.3f}")
    table.add_row(
        "worst block",
        f"{status.worst_block_seconds * 1000:.1f} of {status.block_seconds * 1000:.1f} ms",
    )
    table.add_row("blocks too late", f"{status.underruns} (silence was played)")
    table.add_row("blocks left out", f"{status.overruns}")
    table.add_row("lost by the device", f"{status.device_dropouts}")
    Console().print(table)


def print_devices() -> None:
    """Every microphone and speaker on stdout. Raises DeviceError."""
    from mbs_cli.audio.sound_card import list_cards

    cards = list_cards()
    if not cards:
        print("PortAudio finds no sound device", file=sys.stderr)
        return
    table = Table("number", "name", "interface", "inputs", "outputs", "Hz")
    for card in cards:
        table.add_row(*map(str, vars(card).values()))
    Console().print(table)
