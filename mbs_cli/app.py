"""The command `mbs`: global options, the list of commands, and how every command ends.

Imports neither torch nor anything else that is slow: a command loads its library when it runs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mbs_cli import __version__
from mbs_cli.commands.enhance import enhance
from mbs_cli.commands.error_text import print_error, show_tracebacks
from mbs_cli.commands.exit_code import ExitCode, exit_code_of
from mbs_cli.commands.export import export
from mbs_cli.commands.live import live
from mbs_cli.commands.models import models
from mbs_cli.commands.profile import profile
from mbs_cli.commands.score import score
from mbs_cli.commands.train import train
from mbs_cli.device import let_waiting_threads_sleep
from mbs_cli.errors import MbsError
from mbs_cli.interrupts import lose_no_interrupt

# Commands whose next run takes up where this one was interrupted.
_GO_ON = {
    "enhance": ", run again to go on",
    "train": ", run again (with --resume if a run was saved) to go on",
}

app = typer.Typer(
    name="mbs",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(enhance)
app.command()(live)
app.command()(train)
app.command()(score)
app.command()(profile)
app.command()(models)
app.command()(export)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"mbs {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of every error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Clean noisy speech, train models that do, and measure how well they do."""
    show_tracebacks(debug)


def main() -> None:
    """Run `mbs` on the arguments of this process and exit."""
    let_waiting_threads_sleep()
    lose_no_interrupt()
    try:
        app()
    except MbsError as error:
        print_error(error)
        sys.exit(exit_code_of(error))
    except OSError as error:
        if error.filename is None:
            raise
        # What nobody foresaw is still about a file, and says which.
        print_error(MbsError(f"{error.filename!r}: {error.strerror}", "check the path"))
        sys.exit(ExitCode.FAILED)
    except SystemExit as ending:
        if ending.code == ExitCode.INTERRUPTED:
            print(f"interrupted: what was finished is kept{_next_step()}", file=sys.stderr)
        raise


def _next_step() -> str:
    """What to do after Ctrl-C; nothing where the command of this process would start over."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return _GO_ON.get(command, "")
