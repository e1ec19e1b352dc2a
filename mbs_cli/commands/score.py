"""`mbs score`: options in, one library call, a table and files out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbs_cli.commands.error_text import print_error
from mbs_cli.commands.exit_code import ExitCode
from mbs_cli.commands.text_output import STDOUT, check_target, give_up_stdout, write_text
from mbs_cli.errors import MbsError, UsageError

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
            help="What to compute, e.g. pesq_wb,stoi,dnsmos_ovrl; all for all that is possible.",
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
    from mbs_cli.commands.score_display import open_display
    from mbs_cli.scoring.systems import score_systems

    _check_outputs(csv, as_json, html)
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
            metrics=_metrics(metrics, has_reference=not no_reference),
            trim=trim,
            align=align,
            jobs=jobs,
            weights_sha256=_hashes(weights or []),
            command=shlex.join(["mbs", *sys.argv[1:]]),
            on_scored=on_scored,
        )
    failures = _give_out(comparison, csv, as_json, html)
    for failure in failures:
        print_error(failure)
    if not comparison.is_complete:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if failures or comparison.has_failures or (strict and comparison.has_gaps):
        raise typer.Exit(ExitCode.FAILED)


def _metrics(text: str | None, has_reference: bool) -> list[str] | None:
    from mbs_cli.scoring.metrics import LONE_METRICS, METRICS

    if text is None:
        return None
    keys = [part.strip() for part in text.split(",") if part.strip()]
    if keys == ["all"]:
        return list(METRICS if has_reference else LONE_METRICS)
    return keys


def _check_outputs(csv: str | None, as_json: str | None, html: Path | None) -> None:
    """Raise UsageError, before any work, if an output cannot be written or two are one file."""
    if csv == as_json == STDOUT:
        raise UsageError("--csv - and --json - both go to standard output", "give one a file name")
    options = {"--csv": csv, "--json": as_json, "--html": html}
    places: dict[Path, str] = {}
    for option, target in options.items():
        if target is None or target == STDOUT:
            continue
        first = places.setdefault(Path(target).resolve(), option)
        if first != option:
            raise UsageError(f"{target}: both {first} and {option} go there", "name two files")
    if html is not None:
        from mbs_cli.scoring.report.page import check_report_path

        check_report_path(html)
    for text_target in (csv, as_json):
        if text_target is not None:
            check_target(text_target)


def _hashes(weights: list[str]) -> dict[Path, str]:
    """The SHA-256 of each system's weights."""
    models = {}
    for text in weights:
        source, separator, model = text.rpartition("=")
        if not separator:
            raise UsageError(f"--weights {text}: expected EST=NAME|PATH", "e.g. clean/=mbs-net")
        models[Path(source)] = _weights_file(text, model)
    if not models:
        return {}
    from mbs_cli.models.checkpoint import file_sha256

    return {source: file_sha256(path) for source, path in models.items()}


def _weights_file(text: str, model: str) -> Path:
    from mbs_cli.models.shipped import resolve_model

    path = resolve_model(model)
    if path.is_dir():
        raise UsageError(
            f"--weights {text}: {path} is a folder, expected a model's file",
            "name the file in it, e.g. best.safetensors, or one that mbs models lists",
        )
    return path


def _give_out(
    comparison: Comparison, csv: str | None, as_json: str | None, html: Path | None
) -> list[MbsError]:
    """Show the tables and write every output; why any of them could not be."""
    from mbs_cli.commands.score_display import print_findings, print_tables

    failures: list[MbsError] = []
    try:
        print_findings(comparison)
        if STDOUT not in (csv, as_json):
            print_tables(comparison)
            sys.stdout.flush()
    except OSError as error:
        give_up_stdout()
        failures.append(UsageError(f"standard output: cannot be written ({error.strerror})"))
    finally:  # a reader that went away costs no file
        failures += _write(comparison, csv, as_json, html)
    return failures


def _write(
    comparison: Comparison, csv: str | None, as_json: str | None, html: Path | None
) -> Iterator[MbsError]:
    """Write every output that can be written, and yield why another cannot."""
    page = None if html is None else str(html)
    for target, write in ((csv, _write_csv), (as_json, _write_json), (page, _write_page)):
        try:
            if target is not None:
                write(comparison, target)
        except MbsError as error:
            yield error
        except BrokenPipeError:
            yield MbsError(f"{target}: its reader has gone")


def _write_csv(comparison: Comparison, target: str) -> None:
    from mbs_cli.scoring.csv_table import csv_text

    write_text(target, csv_text(comparison))


def _write_json(comparison: Comparison, target: str) -> None:
    import json

    text = json.dumps(comparison.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(target, text + "\n")


def _write_page(comparison: Comparison, target: str) -> None:
    from mbs_cli.scoring.report.page import write_report

    write_report(comparison, Path(target))
