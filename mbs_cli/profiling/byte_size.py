"""Amounts of memory as text. Imports nothing heavy."""

from __future__ import annotations

import re

from mbs_cli.errors import UsageError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_UNITS = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_bytes(text: str) -> int:
    """The bytes of "4GB", "3.5 GiB" or "800MB". Raises UsageError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?\s*", text.upper(), re.ASCII)
    size = float(found[1]) * (_UNITS | _BINARY_UNITS)[found[2] or ""] if found else 0.0
    if not 1 <= size < 2**63:
        raise UsageError(
            f"a memory of {text!r}: expected an amount such as 4GB, 3.5GiB or 800MB",
            "1 GB is 1,000,000,000 bytes, 1 GiB is 1,073,741,824",
        )
    return int(size)


def show_bytes(size: int) -> str:
    """In decimal units, as "2.5 GB" or "512 MB"."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
