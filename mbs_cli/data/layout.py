"""Which audio files of a data folder train, and which validate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mbs_cli.audio.suffixes import AUDIO_SUFFIXES
from mbs_cli.errors import DataError

_VALIDATION_SHARE = 20  # where no split is given, one speaker in that many validates


@dataclass(frozen=True)
class Split:
    """The files of one split; `rir` (room impulse responses) may be empty."""

    clean: list[Path]
    noise: list[Path]
    rir: list[Path]


def find_splits(data: Path) -> tuple[Split, Split]:
    """The training and the validation split of `data`.

    Recognises `train/` and `valid/`, each with `clean/`, `noise/` and perhaps `rir/`; or these
    three alone: then every 20th speaker (folder of clean files) and every 20th noise folder is
    held out. Raises DataError that says what is missing.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder", "give the folder that holds clean/ and noise/")
    if (data / "train").is_dir():
        if not (data / "valid").is_dir():
            raise DataError(
                f"{data}: there is train/ but no valid/", "add valid/clean and valid/noise"
            )
        return _read_split(data / "train"), _read_split(data / "valid")
    whole = _read_split(data)
    clean = _hold_out(whole.clean, data / "clean")
    noise = _hold_out(whole.noise, data / "noise")
    return Split(clean[0], noise[0], whole.rir), Split(clean[1], noise[1], whole.rir)


def read_sources(data: Path) -> list[dict[str, str]]:
    """Where the recordings come from, of `data/sources.json`: objects of texts; none without it.

    Raises DataError if the file is there and holds anything else.
    """
    path = data / "sources.json"
    if not path.exists():
        return []
    try:
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


def _read_split(folder: Path) -> Split:
    split = Split(*(_audio_files(folder / kind) for kind in ("clean", "noise", "rir")))
    for kind, files in (("clean", split.clean), ("noise", split.noise)):
        if not files:
            raise DataError(
                f"{folder / kind}: no audio files found",
                "a data folder holds clean/ (speech alone) and noise/ (noise alone), "
                "or train/ and valid/ with both",
            )
    return split


def _audio_files(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return sorted(path for path in files if not path.name.startswith("."))


def _hold_out(files: list[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Files to train on and files held out, by folder so that no speaker is in both.

    Files that all lie in one folder are told apart one by one.
    """
    groups = sorted({path.parent for path in files})
    keys = [path.parent for path in files] if len(groups) > 1 else files
    held_groups = set(sorted(set(keys))[::_VALIDATION_SHARE])
    held = [path for path, key in zip(files, keys, strict=True) if key in held_groups]
    kept = [path for path, key in zip(files, keys, strict=True) if key not in held_groups]
    if not kept:
        raise DataError(f"{folder}: one file cannot both train and validate", "add more recordings")
    return kept, held
