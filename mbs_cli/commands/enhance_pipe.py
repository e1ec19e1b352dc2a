"""`mbs enhance` with - for standard input or output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mbs_cli.audio.output_format import ClipPolicy, OutputFormat
from mbs_cli.commands.exit_code import ExitCode
from mbs_cli.enhancement.engine import Engine
from mbs_cli.enhancement.report import EnhanceReport
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import AudioError, UsageError

if TYPE_CHECKING:
    from mbs_cli.audio.pcm import PcmFormat

STANDARD = Path("-")
_CONTAINERS = ("wav", "raw")  # on standard output
_REFUSED = ("video", "batch_size", "jobs", "shard", "manifest", "page")
_REFUSED_ON_STDOUT = (*_REFUSED, "overwrite", "as_json")


@dataclass(frozen=True)
class StreamForm:
    """What comes in and what is to go out, as the options tell."""

    raw: str | None  # RATE,FORMAT,CHANNELS of standard input
    container: str | None
    subtype: str | None
    sample_rate_hz: int | None
    clip: ClipPolicy

    @property
    def sends_raw(self) -> bool:
        """Whether bare samples go out: the same form as comes in, if nothing else is wanted."""
        return self.container == "raw" or (self.container is None and self.raw is not None)


def is_piped(paths: Sequence[Path], output: Path) -> bool:
    """Whether standard input or output takes part."""
    return STANDARD in (*paths, output)


def enhance_standard(
    context: typer.Context,
    paths: Sequence[Path],
    output: Path,
    engine: Engine,
    treatment: Treatment,
    form: StreamForm,
) -> None:
    """Check the options and do it. Raises what `enhance_pipe` raises.

    Exits with the shell's code for a closed pipe if nobody reads the output any more, and as
    interrupted after Ctrl-C, which ends the input: what had arrived is enhanced all the same.
    """
    from mbs_cli.audio.pcm import parse_raw
    from mbs_cli.commands.enhance_display import print_summary

    if form.raw is not None and STANDARD not in paths:
        raise UsageError(
            f"--raw {form.raw}: tells what comes on standard input, and that is not read",
            "give - as the input; --format raw sends bare samples to standard output",
        )
    source = _only_source(paths)
    _check_options(context, output, form)
    layout = None if form.raw is None else parse_raw(form.raw)
    overwrite = bool(context.params["overwrite"])
    report = _enhance(source, output, engine, treatment, form, layout, overwrite)
    if output != STANDARD:
        print_summary(report, context.params["as_json"])


def _only_source(paths: Sequence[Path]) -> Path:
    if len(paths) != 1:
        raise UsageError(
            f"{len(paths)} inputs: with - for standard input or output it is one",
            "name one file or -, or write into a folder",
        )
    if os.path.isdir(paths[0]):  # noqa: PTH112 - that one raises for names that are too long
        raise UsageError(f"{paths[0]}: a folder cannot go to standard output", "name one file")
    return paths[0]


def _check_options(context: typer.Context, output: Path, form: StreamForm) -> None:
    names = _REFUSED_ON_STDOUT if output == STANDARD else _REFUSED
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"{parameter.opts[0]}: not with - for standard input or output",
                "leave it out, or enhance files: mbs enhance FILE -o FOLDER",
            )
    if output == STANDARD and form.container not in (None, *_CONTAINERS):
        raise UsageError(
            f"--format {form.container}: not on standard output",
            f"choose one of {', '.join(_CONTAINERS)}; ffmpeg behind the pipe makes others",
        )


def _enhance(
    source: Path,
    output: Path,
    engine: Engine,
    treatment: Treatment,
    form: StreamForm,
    layout: PcmFormat | None,
    overwrite: bool,
) -> EnhanceReport:
    from mbs_cli.commands.enhance_display import print_event
    from mbs_cli.commands.standard_streams import open_output, stoppable_input
    from mbs_cli.enhancement.pipe import enhance_pipe

    container = None if output == STANDARD else form.container
    with ExitStack() as streams:
        target = streams.enter_context(open_output()) if output == STANDARD else output
        arriving = streams.enter_context(stoppable_input()) if source == STANDARD else None
        try:
            report = enhance_pipe(
                arriving or source,
                target,
                engine,
                raw=layout,
                sends_raw=form.sends_raw,
                treatment=treatment,
                output_format=OutputFormat(container, form.subtype, form.sample_rate_hz, form.clip),
                overwrite=overwrite,
                on_event=print_event,
            )
        except BrokenPipeError:
            raise typer.Exit(ExitCode.READER_GONE) from None
        except AudioError:
            if arriving is None or not arriving.is_stopped:
                raise  # after Ctrl-C the sound ends anywhere
    if arriving is not None and arriving.is_stopped:
        raise typer.Exit(ExitCode.INTERRUPTED)
    return report
