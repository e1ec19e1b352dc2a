"""One file as a page lets it be seen and heard: the reference and what each system made of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mbs_cli.errors import MbsError
from mbs_cli.scoring.comparison import Comparison
from mbs_cli.scoring.report.clip import Clip, read_clip
from mbs_cli.scoring.report.spectrogram import RANGE_DB, levels_db, to_image


@dataclass(frozen=True)
class Version:
    """A path, what it is called on the page, and which system made it (None: the reference)."""

    label: str
    path: str
    system: int | None


def versions_of(comparison: Comparison, name: str) -> list[Version]:
    """The versions of one file of which the path is known."""
    rows = [system.row(name) for system in comparison.systems]
    references = [row.reference for row in rows if row is not None and row.reference is not None]
    found = [Version("reference", path, None) for path in references[:1]]
    for place, (system, row) in enumerate(zip(comparison.systems, rows, strict=True)):
        if row is not None and row.estimate is not None:
            found.append(Version(system.name, row.estimate, place))
    return found


def media_of(versions: list[Version]) -> dict[str, Any]:
    """Sound and image of every version as data URIs; a failure has its reason instead.

    All images share one scale, whose ceiling is the loudest point of any version.
    """
    clips = [_clip_or_failure(version) for version in versions]
    levels = [levels_db(clip.mono, clip.sample_rate_hz) for clip in _good(clips)]
    ceiling_db = max((float(level.max()) for level in levels), default=0.0)
    images = (to_image(level, ceiling_db) for level in levels)
    return {
        "rangeDb": RANGE_DB,
        "versions": [
            _described(version)
            | (_media(version, clip, next(images)) if isinstance(clip, Clip) else clip)
            for version, clip in zip(versions, clips, strict=True)
        ],
    }


def _clip_or_failure(version: Version) -> Clip | dict[str, Any]:
    try:
        return read_clip(version.path)
    except MbsError as error:
        return {"failure": error.message}


def _good(clips: list[Clip | dict[str, Any]]) -> Iterator[Clip]:
    return (clip for clip in clips if isinstance(clip, Clip))


def _described(version: Version) -> dict[str, Any]:
    return {"label": version.label, "system": version.system}


def _media(version: Version, clip: Clip, image: bytes) -> dict[str, Any]:
    try:
        sound = clip.to_flac()
    except MbsError as error:
        return {"failure": f"{version.path}: {error.message}"}
    return {
        "seconds": clip.seconds,
        "fileSeconds": clip.file_seconds,
        "rateHz": clip.sample_rate_hz,
        "image": _data_uri("image/webp", image),
        "audio": _data_uri("audio/flac", sound),
    }


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
