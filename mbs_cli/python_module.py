"""Starting a module of this package in another Python process.

Without `-P` Python would look for modules in the current folder first, and a user's `statistics.py`
there would be run in the place of Python's own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE_PARENT = Path(__file__).resolve().parents[1]


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs it."""
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment() -> dict[str, str]:
    """The environment in which the package is found, installed or not."""
    search_path = (str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", ""))
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, search_path))}
