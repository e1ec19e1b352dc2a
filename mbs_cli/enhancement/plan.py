"""Which files are enhanced into which, settled before any work starts. Imports nothing heavy."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mbs_cli.audio.folder import audio_names, file_identity
from mbs_cli.audio.output_format import FORMATS, OutputFormat
from mbs_cli.audio.suffixes import AUDIO_SUFFIXES, FFMPEG_AUDIO_SUFFIXES, VIDEO_SUFFIXES
from mbs_cli.errors import AudioError, UsageError

_AS_THE_INPUT = OutputFormat()
_SOUND_SUFFIXES = AUDIO_SUFFIXES | FFMPEG_AUDIO_SUFFIXES

_Identity = str | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Job:
    """One file to read and the one to write."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Plan:
    """The jobs, and the paths that lead to none, each with the reason."""

    jobs: tuple[Job, ...]
    unusable: tuple[tuple[Path, AudioError], ...]

    def shard(self, number: int, count: int) -> Plan:
        """The share of one of `count` runs, the first having number 1, which reports the unusable.

        Every run that plans the same paths divides them alike. Raises UsageError.
        """
        if not 1 <= number <= count:
            raise UsageError(
                f"--shard {number}/{count}: expected a number from 1 to the number of shards",
                "for example --shard 1/4, 2/4, 3/4 and 4/4 in four runs",
            )
        return Plan(self.jobs[number - 1 :: count], self.unusable if number == 1 else ())


def plan_jobs(
    paths: Sequence[Path],
    output: Path,
    output_format: OutputFormat = _AS_THE_INPUT,
    listed: Sequence[Job] = (),
) -> Plan:
    """Find the audio files, with videos if their picture is kept, and name their outputs.

    A file goes to `output/NAME`, the files of a folder to `output/` with the tree below it kept;
    one single file goes to `output` itself if that has the file's suffix and is no folder. With
    another format all get its suffix. `listed` jobs join as they are.

    Raises UsageError, before anything is touched, if the output lies in an input folder, if an
    output would be one of the inputs, or if two inputs would make one output.
    """
    if not paths and not listed:
        raise UsageError("no files or folders given", "name at least one")
    _check_reachable(output)
    is_named = _names_a_file(paths, output)
    jobs = list(listed)
    unusable: dict[Path, AudioError] = {}
    for path in paths:
        try:
            found = _jobs_of(path, output, output_format, unusable, is_named=is_named)
            jobs.extend(found)
        except AudioError as error:
            unusable[path] = error
    _check_folder(jobs, output)
    return Plan(tuple(check_targets(jobs)), tuple(unusable.items()))


def parse_shard(text: str) -> tuple[int, int]:
    """The numbers of "I/N". Raises UsageError for any other text."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise UsageError(f"--shard {text}: expected two numbers, for example 1/4")
    return int(number), int(count)


def _jobs_of(
    path: Path,
    output: Path,
    output_format: OutputFormat,
    unusable: dict[Path, AudioError],
    is_named: bool,
) -> Iterator[Job]:
    """The jobs of a path; folders below it that cannot be read become `unusable`."""
    suffix = output_format.suffix
    suffixes = _SOUND_SUFFIXES | VIDEO_SUFFIXES if output_format.video else _SOUND_SUFFIXES
    if stat.S_ISDIR(_status(path).st_mode):
        _check_outside(path, output)
        closed: dict[Path, AudioError] = {}
        folders = sorted(audio_names(path, suffixes, closed.__setitem__))
        unusable |= closed
        if not folders and not closed:
            raise AudioError(
                f"{path}: no audio files in this folder",
                "files are found by their suffix (.wav, .flac, .ogg, .mp3, ...); name a file "
                "itself to have it read whatever it is called",
            )
        _check_links(path, (place for place, _ in folders), output)
        for place, names in folders:
            source_folder, target_folder = path / place, output / place
            for name in sorted(names):
                yield Job(source_folder / name, with_suffix(target_folder / name, suffix))
    elif is_named:
        yield Job(path, _file_target(path, output, suffix))
    else:
        yield Job(path, with_suffix(output / path.name, suffix))


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # value: holds a NUL
        raise AudioError(f"{path}: there is no such file or folder", "check the path") from error
    except OSError as error:
        raise AudioError(
            f"{path}: cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error


def with_suffix(target: Path, suffix: str | None) -> Path:
    """An output by its input's name, with the suffix of another format if one is given."""
    return target if suffix is None else target.with_suffix(suffix)


def _file_target(source: Path, output: Path, suffix: str | None) -> Path:
    """`output` as the very file to write; a suffix that is no audio format names a folder."""
    expected = suffix or source.suffix
    found = output.suffix.lower()
    if found == expected.lower():
        return output
    if found in _SOUND_SUFFIXES | VIDEO_SUFFIXES:
        what = f"is of --format {suffix[1:]}" if suffix else f"keeps the format of {source}"
        other = f", or give --format {found[1:]}" if found[1:] in FORMATS else ""
        raise UsageError(
            f"{output}: the output {what}", f"name it {output.with_suffix(expected)}{other}"
        )
    return with_suffix(output / source.name, suffix)


def format_for(source: Path, target: Path, wanted: OutputFormat) -> OutputFormat:
    """The format of a target that was named outright: where no container is wanted, that of its
    suffix, if it is another than the source's and one of sound.

    Raises UsageError for the suffix of another container than is wanted, or of none that is
    written.
    """
    name = target.suffix[1:].lower()
    is_another = target.suffix.lower() != source.suffix.lower()
    if wanted.container is None and is_another and name in FORMATS:
        return replace(wanted, container=name)
    _file_target(source, target, wanted.suffix)  # refuses what contradicts
    return wanted


def format_of_output(sources: Sequence[Path], output: Path, wanted: OutputFormat) -> OutputFormat:
    """`format_for` where the output of a single file is named outright, else what is wanted."""
    _check_reachable(output)
    if _names_a_file(sources, output):
        with suppress(AudioError):  # of the source, which the plan tells of
            if stat.S_ISREG(_status(sources[0]).st_mode):
                return format_for(sources[0], output, wanted)
    return wanted


def _names_a_file(paths: Sequence[Path], output: Path) -> bool:
    """Whether `output` is the very file to write, if the only path is one."""
    return len(paths) == 1 and bool(output.suffix) and not output.is_dir()


def _check_reachable(output: Path) -> None:
    try:
        output.exists()
        output.resolve()
    except (OSError, RuntimeError) as error:  # the latter for links that lead in a circle
        reason = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
        raise UsageError(
            f"{output}: no output can be written there ({reason})",
            "choose another output folder",
        ) from error


def _check_outside(folder: Path, output: Path) -> None:
    if output.resolve().is_relative_to(folder.resolve()):
        where = "is" if output.resolve() == folder.resolve() else "lies inside"
        raise UsageError(
            f"{output}: the output {where} the input folder {folder}",
            "choose an output folder outside of it, so that a second run does not enhance "
            "its own output",
        )


def _check_links(folder: Path, places: Iterable[Path], output: Path) -> None:
    """Likewise for what is reached through a link."""
    real_output, real_folder = output.resolve(), folder.resolve()
    for place in places:
        real = (folder / place).resolve()
        is_elsewhere = not real.is_relative_to(real_folder)
        if is_elsewhere and (real_output.is_relative_to(real) or real.is_relative_to(real_output)):
            raise UsageError(
                f"{output}: a link leads from the input folder {folder} to this output, "
                f"at {folder / place}",
                "choose an output folder that no input leads to, or remove the link",
            )


def _check_folder(jobs: Sequence[Job], output: Path) -> None:
    if output.exists() and not output.is_dir() and any(job.target != output for job in jobs):
        raise UsageError(
            f"{output}: this is a file, and a folder is needed to write into",
            "give a folder; one single file can go to a file of the same suffix",
        )


def check_targets(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, with a file that was named twice, in whatever way, being one.

    Raises UsageError if a job would write an input, or two jobs the same output. Links do not
    hide anything: a symbolic or hard link to an input counts as that input.
    """
    real = cache(os.path.realpath)
    identities = [_identity(job.source) for job in jobs]
    inputs = dict(zip(identities, jobs, strict=True))
    makers: dict[str, tuple[Job, _Identity]] = {}
    for job, identity in zip(jobs, identities, strict=True):
        overwritten = inputs.get(_identity(job.target))
        if overwritten is not None:
            raise UsageError(
                f"{job.target}: the output of {job.source} would be the input {overwritten.source}",
                "choose another output; inputs are never written to",
            )
        first, its_identity = makers.setdefault(_place(job.target, real), (job, identity))
        if its_identity != identity:
            raise UsageError(
                f"{job.target}: both {first.source} and {job.source} would be written there",
                "enhance them in two runs with different output folders",
            )
    return [job for job, _ in makers.values()]


def _identity(path: Path) -> _Identity:
    """What makes two paths the same file, or the same place if nothing is there."""
    return file_identity(path) or _place(path, os.path.realpath)


def _place(path: Path, real: Callable[[str], str]) -> str:
    """Where a file lies or would lie, through `real`, which finds the true path of its folder."""
    folder, name = os.path.split(path)
    return os.path.normcase(os.path.join(real(folder), name))  # noqa: PTH118 - faster
