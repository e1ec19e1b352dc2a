"""Which estimate belongs to which reference: by relative path and stem, whatever the format.

Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from mbs_cli.audio.folder import audio_files, audio_name
from mbs_cli.audio.suffixes import AUDIO_SUFFIXES, FFMPEG_AUDIO_SUFFIXES
from mbs_cli.errors import DataError, UsageError


@dataclass(frozen=True)
class MatchedSystem:
    """The estimates of one system, and those that have no reference."""

    name: str
    source: Path
    estimates: dict[str, Path]  # by the name of the reference
    unmatched: tuple[Path, ...] = ()
    is_noisy: bool = False


@dataclass(frozen=True)
class Matching:
    """The references by name, in order, and the systems; without references their union of names.

    A name is a relative path without its suffix; single files all go by that of the first.
    """

    names: tuple[str, ...]
    references: dict[str, Path]
    systems: tuple[MatchedSystem, ...]


def match(reference: Path | None, estimates: Sequence[Path], noisy: Path | None = None) -> Matching:
    """Files or folders of one or more systems, matched with the references.

    Raises:
        UsageError: nothing to score, or a file where the others are folders.
        DataError: a path that is not there, a folder without audio files, two files of one name
            in a folder, or a system that has not a single counterpart.
    """
    if not estimates and noisy is None:
        raise UsageError("nothing to score", "name at least one file or folder of estimates")
    sources = _sources(estimates, noisy)
    everything = [*sources, *([reference] if reference is not None else [])]
    if len({_check_exists(path).is_dir() for path in everything}) > 1:
        raise UsageError(
            f"files and folders mixed: {', '.join(map(str, everything))}",
            "compare files with files and folders with folders",
        )
    references = {} if reference is None else _files(reference)
    found = {source: _files(source) for source in sources}
    if not sources[0].is_dir():  # a file is compared with a file of any name
        name = next(iter(references or found[sources[0]]))
        found = {source: {name: source} for source in sources}
    names = tuple(references) or tuple(dict.fromkeys(chain.from_iterable(found.values())))
    labels = _labels(sources, noisy)
    systems = tuple(
        _system(labels[source], source, files, names, is_noisy=source == noisy)
        for source, files in found.items()
    )
    return Matching(names, references, systems)


def _sources(estimates: Sequence[Path], noisy: Path | None) -> list[Path]:
    """Every source once, under its first spelling; the noisy input comes first."""
    unique: dict[Path, Path] = {}
    for path in [*([noisy] if noisy else []), *estimates]:
        unique.setdefault(path.resolve(), path)
    return list(unique.values())


def _check_exists(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder", "check the path")
    return path


def _files(source: Path) -> dict[str, Path]:
    """The audio files of a folder, with all below, by name; a file is one, whatever its suffix."""
    if not source.is_dir():
        return {audio_name(Path(source.name)): source}
    files: dict[str, Path] = {}
    for path in sorted(audio_files(source, AUDIO_SUFFIXES | FFMPEG_AUDIO_SUFFIXES)):
        name = audio_name(path.relative_to(source))
        if name in files:
            raise DataError(
                f"{files[name]} and {path} have the same name",
                "files are matched by path and stem: keep one of them",
            )
        files[name] = path
    if not files:
        raise DataError(
            f"{source}: no audio files in this folder",
            "files are found by their suffix (.wav, .flac, .ogg, .mp3, ...)",
        )
    return files


def _system(
    label: str, source: Path, files: dict[str, Path], names: Sequence[str], is_noisy: bool
) -> MatchedSystem:
    wanted = set(names)
    estimates = {name: path for name, path in files.items() if name in wanted}
    if not estimates:
        raise DataError(
            f"{source}: none of its {len(files)} files has a counterpart among the references",
            f"names have to agree but for the suffix, e.g. {names[0]} and {next(iter(files))}",
        )
    unmatched = tuple(path for name, path in files.items() if name not in wanted)
    return MatchedSystem(label, source, estimates, unmatched, is_noisy)


def _labels(sources: Sequence[Path], noisy: Path | None) -> dict[Path, str]:
    """The shortest ends of the paths that tell the systems apart; the noisy input is `noisy`."""
    systems = [source for source in sources if source != noisy]
    depth = 1
    parts = {source: source.resolve().parts for source in systems}
    longest = max((len(part) for part in parts.values()), default=0)
    while depth < longest and len({part[-depth:] for part in parts.values()}) < len(systems):
        depth += 1
    labels = {source: str(Path(*parts[source][-depth:])) for source in systems}
    if noisy is not None:
        labels = {
            source: f"{label} (system)" if label == "noisy" else label
            for source, label in labels.items()
        }
        labels[noisy] = "noisy"
    return labels
