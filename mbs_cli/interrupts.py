"""Ctrl-C is never lost. Imports nothing heavy."""

from __future__ import annotations

import _thread
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN_SECONDS = 0.1


def lose_no_interrupt() -> None:
    """Interrupt the program again where a KeyboardInterrupt could not be passed on.

    While kernels are compiled much of the time goes into functions that C calls; what is raised
    there is printed and forgotten, and the program would go on.
    """
    sys.unraisablehook = _take


def _take(unraisable: UnraisableHookArgs) -> None:
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    # A little later: at once it would be raised in this very function, and be lost again.
    again = threading.Timer(_AGAIN_SECONDS, _thread.interrupt_main)
    again.daemon = True
    again.start()
