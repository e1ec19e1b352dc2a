"""A comparison as CSV: one line per system and file."""

from __future__ import annotations

import csv
import io

from mbs_cli.scoring.comparison import Comparison

_FIRST = ("system", "file", "reference", "estimate")
_LAST = ("seconds", "channels", "lag_samples", "is_aligned", "trimmed_samples", "reason")


def csv_text(comparison: Comparison) -> str:
    """Values in full precision; an empty cell has its cause in the last column, `reason`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, (*_FIRST, *comparison.metrics, *_LAST), extrasaction="ignore")
    writer.writeheader()
    for system in comparison.systems:
        for row in system.rows:
            reasons = "; ".join(dict.fromkeys(row.reasons.values()))
            writer.writerow(
                {**row.to_json(), **row.values, "reason": reasons}
                | {"system": system.name, "file": row.name}
            )
    return text.getvalue()
