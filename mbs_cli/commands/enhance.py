"""`mbs enhance`: options in, one library call, a display while it runs and a summary after it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbs_cli.commands.exit_code import ExitCode
from mbs_cli.device import Device
from mbs_cli.enhancement.engine import DEFAULT_BATCH_SIZE
from mbs_cli.enhancement.files import enhance_paths
from mbs_cli.enhancement.loading import DEFAULT_MODEL
from mbs_cli.enhancement.plan import parse_shard
from mbs_cli.enhancement.report import Status


def enhance(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the enhanced files, which keep their names and the tree they come "
            "from; for one single file also a file name.",
            show_default=False,
        ),
    ],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Audio files, and folders that are searched for them with all below.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="A shipped model or a checkpoint file.")
    ] = DEFAULT_MODEL,
    device: Annotated[
        Device, typer.Option(help="Where to compute; auto takes cuda, then mps, then cpu.")
    ] = Device.AUTO,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Redo files whose output exists already.")
    ] = False,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Short files that go through the model at once.")
    ] = DEFAULT_BATCH_SIZE,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads, of all jobs together.", show_default="all cores"),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that share the files and the threads, for many files on many cores.",
        ),
    ] = 1,
    shard: Annotated[
        str,
        typer.Option(
            metavar="I/N", help="Do the I-th of N equal shares of the files, in N runs or machines."
        ),
    ] = "1/1",
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Keep a table of all files: path, output, status, seconds, gain_db, error. "
            "Without PATH it also names the files, in its column path.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON on standard output.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.html",
            help="A page to hear and see every file before and after.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Remove noise from speech.

    Reads what libsndfile reads (WAV, FLAC, OGG, MP3, AIFF, ...), any sample rate and number of
    channels. The output has the input's sample rate, channels, length, container and sample
    format, with no delay. Files of any length are worked on in blocks.

    The model hears up to 8 kHz. What a file holds above follows the gain of the highest bands
    that the model hears (6.5-8 kHz), never more than 1.

    Files that are done already are skipped, so an interrupted run can be started again. Samples
    past full scale are clipped where the format cannot hold them; float files are not touched.
    """
    from mbs_cli.commands.enhance_display import open_display, print_summary
    from mbs_cli.commands.enhance_page import check_page, write_page

    check_page(page)
    with open_display() as on_event:
        report = enhance_paths(
            paths or [],
            output,
            model=model,
            device=device,
            overwrite=overwrite,
            batch_size=batch_size,
            threads=threads,
            jobs=jobs,
            shard=parse_shard(shard),
            manifest=manifest,
            on_event=on_event,
        )
    if page is not None:
        write_page(report, page, model)
    print_summary(report, as_json)
    if report.count(Status.FAILED):
        raise typer.Exit(ExitCode.FAILED)
