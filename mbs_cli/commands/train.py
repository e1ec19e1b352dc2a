"""`mbs train`: options in, one library call, a live view while it runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbs_cli.commands.config_options import with_options_of
from mbs_cli.commands.exit_code import ExitCode
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.environment import is_first_process, restart_with_kept_memory

if TYPE_CHECKING:
    from mbs_cli.training.events import Event, OnEvent


@with_options_of(TrainConfig)
def train(
    config: TrainConfig,
    json_log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|-",
            help="Write every event as a line of JSON (docs/training.md); - is standard output.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train a model on your own speech and noise.

    What DATA holds is recognised, checked file by file and reported before the first step. Noisy
    clips are mixed anew for every step. Held-out voices and noises are scored on the way
    (PESQ, STOI, SI-SDR over whole utterances); OUT/best.safetensors is the best model so far,
    ready for `mbs enhance --model`. Stopped with Ctrl-C or killed, the run goes on with --resume.
    """
    from mbs_cli.models.shipped import resolve_model

    if config.device in ("auto", "cpu"):
        restart_with_kept_memory(sys.argv[1:])
    if config.init is not None and not resume:  # a resumed run has its weights
        config = replace(config, init=resolve_model(str(config.init)))
    _run(config, resume, json_log)


def _run(config: TrainConfig, resume: bool, json_log: Path | None) -> None:
    from mbs_cli.commands.train_display import print_finished
    from mbs_cli.commands.train_json_log import fills_standard_output
    from mbs_cli.training.trainer import train as train_model

    with _stop_on_signals() as should_stop, _open_listener(json_log) as on_event:
        finished = train_model(config, resume, _preparing(on_event, should_stop), should_stop)
    if is_first_process() and not fills_standard_output(json_log):
        print_finished(finished, config)
    if not finished.complete:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _preparing(on_event: OnEvent, should_stop: Callable[[], bool]) -> OnEvent:
    """Passes events on; until the run starts there is nothing to save, so a signal ends it then.

    Not one of several processes, which wait for each other.
    """
    from mbs_cli.training.events import Started

    is_preparing = os.environ.get("WORLD_SIZE", "1") == "1"

    def listen(event: Event) -> None:
        nonlocal is_preparing
        is_preparing = is_preparing and not isinstance(event, Started)
        on_event(event)
        if is_preparing and should_stop():
            raise KeyboardInterrupt

    return listen


@contextmanager
def _open_listener(json_log: Path | None) -> Iterator[OnEvent]:
    """Shows and logs events; of several processes only the first one is told of any."""
    from mbs_cli.commands.train_display import open_display
    from mbs_cli.commands.train_json_log import fills_standard_output, log_beside

    if not is_first_process():
        yield lambda _: None
        return
    is_live = not (fills_standard_output(json_log) and sys.stdout.isatty())
    with open_display(is_live) as show, log_beside(show, json_log) as on_event:
        yield on_event


@contextmanager
def _stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM has come; the second one interrupts at once."""
    received: list[int] = []

    def take(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, take)
    yield lambda: bool(received)
