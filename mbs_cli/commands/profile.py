"""`mbs profile`: options in, one library call, tables and files out."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbs_cli.commands.text_output import STDOUT, check_target, write_text
from mbs_cli.device import Device
from mbs_cli.errors import UsageError
from mbs_cli.models.config import PRESETS
from mbs_cli.profiling.byte_size import parse_bytes
from mbs_cli.profiling.options import ProfileOptions

if TYPE_CHECKING:
    from mbs_cli.profiling.results import Report

_SIZES_TO_PLOT = (1, 2, 4, 6, 8)
_DEFAULTS = ProfileOptions()


def profile(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help=f"Presets ({', '.join(PRESETS)}) or paths of checkpoints.",
            show_default="all presets",
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(help="Clips per training step.")
    ] = _DEFAULTS.batch_size,
    seconds: Annotated[float, typer.Option(help="Length of every clip.")] = _DEFAULTS.seconds,
    device: Annotated[
        Device, typer.Option(help="Where to measure; auto takes cuda, then mps, then cpu.")
    ] = Device.AUTO,
    checkpoint_activations: Annotated[
        bool,
        typer.Option(
            "--checkpoint-activations", help="Train as `mbs train --checkpoint-activations` does."
        ),
    ] = _DEFAULTS.checkpoint_activations,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", show_default="all cores")
    ] = _DEFAULTS.threads,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE,...", help="More batch sizes, e.g. 1,2,4,6,8.", show_default=False
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="MEMORY",
            help="Find the largest batch size that fits, e.g. 4GB or 3.5GiB.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE|-", help="Everything as JSON.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Memory against batch size, a line per model (sizes of --sweep, else 1,2,4,6,8).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure what models need before you train them.

    For every model: parameters and multiply-adds by component, the memory of one training step by
    what holds it, what a naive scan would keep, and the speed of training and enhancing. Memory
    and time are measured in fresh processes, beyond what a process holds that does nothing. What
    does not fit into memory is shown as such.
    """
    sizes = _sizes(sweep)
    options = ProfileOptions(
        batch_size=batch_size,
        seconds=seconds,
        device=str(device),
        checkpoint_activations=checkpoint_activations,
        threads=threads,
        sweep=sizes or (_SIZES_TO_PLOT if plot else ()),
        budget_bytes=None if budget is None else parse_bytes(budget),
    )
    for target in (as_json, plot):
        if target is not None:
            check_target(target)
    from mbs_cli.commands.profile_display import open_display, print_tables
    from mbs_cli.profiling.profile import profile_models

    with open_display() as on_start:
        report = profile_models(models or (), options, on_start)
    report = replace(report, command=shlex.join(["mbs", *sys.argv[1:]]))
    if plot is not None:
        from mbs_cli.profiling.plot import write_plot

        write_plot(report, plot)
    if as_json is not None:
        _write_json(report, as_json)
    if as_json != STDOUT:
        print_tables(report)


def _sizes(text: str | None) -> tuple[int, ...]:
    """Batch sizes in rising order."""
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise UsageError(f"--sweep {text}: expected batch sizes, as in --sweep 1,2,4,6,8")
    return tuple(sorted({int(part) for part in parts}))


def _write_json(report: Report, target: str) -> None:
    import json

    write_text(target, json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n")
