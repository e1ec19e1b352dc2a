"""Text files that grow line by line, as a killed process may have left them."""

from __future__ import annotations

from pathlib import Path


def read_complete_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file with their ends; a last one that was cut off is left out.

    Raises OSError. Bytes that are no UTF-8 are kept as escapes.
    """
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return [line for line in file if line.endswith("\n")]
