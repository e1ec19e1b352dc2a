"""`mbs enhance --report`: the page that lets every file be heard before and after."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from mbs_cli.enhancement.report import EnhanceReport


def check_page(path: Path | None) -> None:
    """Raise UsageError, before any work, for a page that could not be written."""
    if path is not None:
        from mbs_cli.scoring.report.page import check_report_path

        check_report_path(path)


def write_page(report: EnhanceReport, path: Path, model: str) -> None:
    """Write the page of all files that have an output, those done by an earlier run included."""
    from mbs_cli.commands.score_display import open_display
    from mbs_cli.models.checkpoint import file_sha256
    from mbs_cli.models.shipped import resolve_model
    from mbs_cli.scoring.report.before_after import BeforeAfter, compare_before_after
    from mbs_cli.scoring.report.page import write_report

    files = [
        BeforeAfter(str(file.source), file.source, file.target, file.seconds or None)
        for file in report.files
        if file.target is not None and file.failure is None
    ]
    with open_display() as on_scored:
        comparison = compare_before_after(
            files,
            weights_sha256=file_sha256(resolve_model(model)),
            command=shlex.join(["mbs", *sys.argv[1:]]),
            on_scored=on_scored,
        )
    write_report(comparison, path, title="Before and after enhancement")
    print(f"report: {path}", file=sys.stderr)
