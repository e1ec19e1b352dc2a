"""What `mbs` tells the shell: the one place for exit codes."""

from __future__ import annotations

from enum import IntEnum

from mbs_cli.errors import DeviceError, MbsError, UsageError


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    FAILED = 1  # some or all of the work
    USAGE = 2  # options or arguments that cannot be
    INTERRUPTED = 130
    READER_GONE = 141  # of standard output; what a shell says of a program that SIGPIPE ended


def exit_code_of(error: MbsError) -> ExitCode:
    """The exit code for an error that ended a command."""
    return ExitCode.USAGE if isinstance(error, UsageError | DeviceError) else ExitCode.FAILED
