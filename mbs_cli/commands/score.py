"""`mbs score`: options in, one library call, a table and files out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbs_cli.commands.exit_code import ExitCode
from mbs_cli.commands.text_output import STDOUT, check_target, write_text
from mbs_cli.errors import UsageError

if TYPE_CHECKING:
    from mbs_cli.scoring.comparison import Comparison


def score(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="REF EST...",
            help="The clean references, then one or more systems: files, or folders whose files "
            "are matched by relative path and stem.",
            show_default=False,
        ),
    ],
    no_reference: Annotated[
        bool,
        typer.Option("--no-reference", help="All paths are systems; metrics that need no clean."),
    ] = False,
    noisy: Annotated[
        Path | None,
        typer.Option(help="The unprocessed input, scored as the first system.", show_default=False),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="KEY,...",
            help="What to compute, e.g. pesq_wb,stoi,dnsmos_ovrl; all for everything.",
            show_default="all that need a reference",
        ),
    ] = None,
    trim: Annotated[
        bool, typer.Option("--trim", help="Where lengths differ, compare what both have.")
    ] = False,
    align: Annotated[
        bool, typer.Option("--align", help="Take the measured lag out of every estimate.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 if any file lacks any metric.")
    ] = False,
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="Every file as CSV.", show_default=False),
    ] = None,
    as_json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE|-", help="Everything as JSON.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="A page that needs no network: scores to sort, files to hear and see.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EST=NAME|PATH",
            help="The model that made a system's files; the hash of its weights is recorded.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="all cores")
    ] = None,
) -> None:
    """Measure how good enhanced speech is.

    Compares at 16 kHz, channel by channel. Means come with their 95 % bootstrap interval, two or
    more systems with their paired difference. What cannot be scored is n/a with its reason and
    left out of the means. The exit code is 1 if files are missing, unreadable, or differ in
    length (--trim) or channels.
    """
    from mbs_cli.commands.score_display import open_display, print_findings, print_tables
    from mbs_cli.scoring.systems import score_systems

    outputs = _outputs(csv, as_json, html)
    if not no_reference and noisy is None and len(paths) < 2:
        raise UsageError(
            "one path given: the references, and nothing to score",
            "mbs score REF EST, or mbs score --no-reference EST",
        )
    with open_display() as on_scored:
        comparison = score_systems(
            None if no_reference else paths[0],
            paths if no_reference else paths[1:],
            noisy=noisy,
            metrics=_metrics(metrics),
            trim=trim,
            align=align,
            jobs=jobs,
            weights_sha256=_hashes(weights or []),
            command=shlex.join(["mbs", *sys.argv[1:]]),
            on_scored=on_scored,
        )
    _write(comparison, csv, as_json, html)
    print_findings(comparison)
    if STDOUT not in outputs:
        print_tables(comparison)
    if not comparison.is_complete:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if comparison.has_failures or (strict and comparison.has_gaps):
        raise typer.Exit(ExitCode.FAILED)


def _metrics(text: str | None) -> list[str] | None:
    from mbs_cli.scoring.metrics import METRICS

    if text is None:
        return None
    keys = [part.strip() for part in text.split(",") if part.strip()]
    return list(METRICS) if keys == ["all"] else keys


def _outputs(csv: str | None, as_json: str | None, html: Path | None) -> list[str]:
    """The outputs asked for; raises UsageError, before any work, if one cannot be written."""
    wanted = [target for target in (csv, as_json) if target is not None]
    if html is not None:
        from mbs_cli.scoring.report.page import check_report_path

        check_report_path(html)
    if wanted.count(STDOUT) > 1:
        raise UsageError("--csv - and --json - both go to standard output", "give one a file name")
    for target in wanted:
        check_target(target)
    return wanted


def _hashes(weights: list[str]) -> dict[Path, str]:
    """The SHA-256 of each system's weights."""
    models = {}
    for text in weights:
        source, separator, model = text.rpartition("=")
        if not separator:
            raise UsageError(f"--weights {text}: expected EST=NAME|PATH", "e.g. clean/=mbs-net")
        models[Path(source)] = model
    if not models:
        return {}
    from mbs_cli.models.checkpoint import file_sha256
    from mbs_cli.models.shipped import resolve_model

    return {source: file_sha256(resolve_model(model)) for source, model in models.items()}


def _write(comparison: Comparison, csv: str | None, as_json: str | None, html: Path | None) -> None:
    import json

    from mbs_cli.scoring.csv_table import csv_text

    if csv is not None:
        write_text(csv, csv_text(comparison))
    if as_json is not None:
        text = json.dumps(comparison.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(as_json, text + "\n")
    if html is not None:
        from mbs_cli.scoring.report.page import write_report

        write_report(comparison, html)
