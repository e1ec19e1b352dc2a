"""Where the recordings of a data folder come from, to be written into the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

from mbs_cli.errors import DataError

_MOST_BYTES = 1 << 20  # so that, escaped, it fits into the header of a checkpoint


def read_sources(data: Path) -> list[dict[str, str]]:
    """`sources.json` in the data folder, or beside a manifest: objects of texts; none without it.

    Raises DataError if the file is there and holds anything else.
    """
    path = (data if data.is_dir() else data.parent) / "sources.json"
    if not path.exists():
        return []
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(
                f"{path}: has {path.stat().st_size} bytes, expected at most {_MOST_BYTES}, as it "
                "becomes part of every checkpoint",
                "name collections of recordings in place of single files",
            )
        sources = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as JSON: {error}", "mend it or remove it"
        ) from error
    is_valid = isinstance(sources, list) and all(
        isinstance(source, dict) and all(isinstance(value, str) for value in source.values())
        for source in sources
    )
    if not is_valid:
        raise DataError(
            f"{path}: expected a list of objects whose values are texts",
            'for example [{"name": "My voices", "licence": "CC0-1.0"}]',
        )
    return list(sources)
