"""Which files are enhanced into which, settled before any work starts. Imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mbs_cli.audio.folder import audio_files
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.suffixes import AUDIO_SUFFIXES, FFMPEG_AUDIO_SUFFIXES, VIDEO_SUFFIXES
from mbs_cli.errors import AudioError, UsageError

_AS_THE_INPUT = OutputFormat()
_SOUND_SUFFIXES = AUDIO_SUFFIXES | FFMPEG_AUDIO_SUFFIXES


@dataclass(frozen=True)
class Job:
    """One file to read and the one to write."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Plan:
    """The jobs, and the paths that lead to none, each with the reason."""

    jobs: tuple[Job, ...]
    unusable: tuple[tuple[Path, AudioError], ...]


def plan_jobs(
    paths: Sequence[Path], output: Path, output_format: OutputFormat = _AS_THE_INPUT
) -> Plan:
    """Find the audio files, with videos if their picture is kept, and name their outputs.

    A file goes to `output/NAME`, the files of a folder to `output/` with the tree below it kept;
    one single file goes to `output` itself if that has the file's suffix and is no folder. With
    another format all get its suffix.

    Raises UsageError, before anything is touched, if the output lies in an input folder, if an
    output would be one of the inputs, or if two inputs would make one output.
    """
    if not paths:
        raise UsageError("no files or folders given", "name at least one")
    jobs: list[Job] = []
    unusable: list[tuple[Path, AudioError]] = []
    for path in paths:
        try:
            jobs.extend(_jobs_of(path, output, output_format, is_only_path=len(paths) == 1))
        except AudioError as error:
            unusable.append((path, error))
    _check_folder(jobs, output)
    jobs = _without_repeats(jobs)
    check_targets(jobs)
    return Plan(tuple(jobs), tuple(unusable))


def _jobs_of(
    path: Path, output: Path, output_format: OutputFormat, is_only_path: bool
) -> Iterator[Job]:
    suffix = output_format.suffix
    suffixes = _SOUND_SUFFIXES | VIDEO_SUFFIXES if output_format.video else _SOUND_SUFFIXES
    if path.is_dir():
        _check_outside(path, output)
        sources = sorted(audio_files(path, suffixes))
        if not sources:
            raise AudioError(
                f"{path}: no audio files in this folder",
                "files are found by their suffix (.wav, .flac, .ogg, .mp3, ...); name a file "
                "itself to have it read whatever it is called",
            )
        for source in sources:
            yield Job(source, _with_suffix(output / source.relative_to(path), suffix))
    elif not path.exists():
        raise AudioError(f"{path}: there is no such file or folder", "check the path")
    elif is_only_path and output.suffix and not output.is_dir():
        yield Job(path, _file_target(path, output, suffix))
    else:
        yield Job(path, _with_suffix(output / path.name, suffix))


def _with_suffix(target: Path, suffix: str | None) -> Path:
    return target if suffix is None else target.with_suffix(suffix)


def _file_target(source: Path, output: Path, suffix: str | None) -> Path:
    """`output` as the very file to write; a suffix that is no audio format names a folder."""
    expected = suffix or source.suffix
    found = output.suffix.lower()
    if found == expected.lower():
        return output
    if found in _SOUND_SUFFIXES | VIDEO_SUFFIXES:
        what = f"is of --format {suffix[1:]}" if suffix else f"keeps the format of {source}"
        raise UsageError(
            f"{output}: the output {what}",
            f"name it {output.with_suffix(expected)}, or give --format {found[1:]}",
        )
    return _with_suffix(output / source.name, suffix)


def _check_outside(folder: Path, output: Path) -> None:
    if output.resolve().is_relative_to(folder.resolve()):
        where = "is" if output.resolve() == folder.resolve() else "lies inside"
        raise UsageError(
            f"{output}: the output {where} the input folder {folder}",
            "choose an output folder outside of it, so that a second run does not enhance "
            "its own output",
        )


def _check_folder(jobs: Sequence[Job], output: Path) -> None:
    if output.exists() and not output.is_dir() and any(job.target != output for job in jobs):
        raise UsageError(
            f"{output}: this is a file, and a folder is needed to write into",
            "give a folder; one single file can go to a file of the same suffix",
        )


def _without_repeats(jobs: Iterable[Job]) -> list[Job]:
    """A file named twice, in whatever way, is one job."""
    return list({(_identity(job.source), job.target.resolve()): job for job in jobs}.values())


def check_targets(jobs: Sequence[Job]) -> None:
    """Raise UsageError if a job would write an input, or two jobs the same output.

    Links do not hide anything: a symbolic or hard link to an input counts as that input.
    """
    inputs = {_identity(job.source): job.source for job in jobs}
    makers: dict[str, Job] = {}
    for job in jobs:
        overwritten = inputs.get(_identity(job.target))
        if overwritten is not None:
            raise UsageError(
                f"{job.target}: the output of {job.source} would be the input {overwritten}",
                "choose another output; inputs are never written to",
            )
        first = makers.setdefault(os.path.normcase(job.target.resolve()), job)
        if first is not job:
            raise UsageError(
                f"{job.target}: both {first.source} and {job.source} would be written there",
                "enhance them in two runs with different output folders",
            )


def _identity(path: Path) -> str | tuple[int, int]:
    """What makes two paths the same file: device and inode, or the path if nothing is there."""
    try:
        status = path.stat()
    except OSError:
        return os.path.normcase(path.resolve())
    return status.st_dev, status.st_ino
