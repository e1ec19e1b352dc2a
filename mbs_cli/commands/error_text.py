"""How an error looks on the terminal."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass

from mbs_cli.errors import MbsError


@dataclass
class _Options:
    """The global options that concern errors."""

    shows_tracebacks: bool = False


_options = _Options()


def show_tracebacks(is_wanted: bool) -> None:
    """Decide whether errors come with their traceback: the global option --debug."""
    _options.shows_tracebacks = is_wanted


def print_error(error: MbsError) -> None:
    """Say on stderr what happened and what to do."""
    if _options.shows_tracebacks:
        traceback.print_exception(error, file=sys.stderr)
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)
