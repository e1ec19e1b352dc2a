"""`clean/` with `noisy/` or `noise/`, perhaps inside `train/` and `valid/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mbs_cli.audio.folder import audio_files, audio_name
from mbs_cli.audio.suffixes import AUDIO_SUFFIXES, FFMPEG_AUDIO_SUFFIXES
from mbs_cli.data.report import LEFT_OUT, Findings
from mbs_cli.data.speakers import groups_of
from mbs_cli.data.split import Layout, Pair, Recording, Split
from mbs_cli.errors import DataError

EXPECTED = (
    "expected are clean/ and noisy/ (pairs of one name), or clean/ and noise/ (mixed on the fly), "
    "either of them perhaps inside train/ and valid/; the folders of VoiceBank+DEMAND; "
    "or a manifest.csv"
)

_SUFFIXES = AUDIO_SUFFIXES | FFMPEG_AUDIO_SUFFIXES
_TRAIN = ("train", "training")
_VALID = ("valid", "validation", "val", "dev")
_TEST = ("test", "tests", "testing")


def read_folders(data: Path) -> Layout:
    """`clean/` with `noisy/` or `noise/`, perhaps in `train/` and `valid/`."""
    train_folder, valid_folder = _child(data, _TRAIN), _child(data, _VALID)
    root = train_folder or data
    if train_folder is None and not _is_split(data):
        raise DataError(
            f"{data}: there is a test folder and nothing to train on; {contents_of(data)}",
            "test folders are never trained on; " + EXPECTED,
        )
    layout = Layout("", Split())
    layout.train = _read_split(root, layout)
    if valid_folder is None:
        _take_inner_validation(root, layout)
    else:
        layout.valid = _read_split(valid_folder, layout)
        layout.valid_choice = f"as given in {valid_folder.name}/"
        if bool(layout.valid.pairs) != bool(layout.train.pairs):
            raise DataError(
                f"{valid_folder}: holds {_kind(layout.valid)}, and {root} {_kind(layout.train)}",
                "give both splits in the same form",
            )
    where = f" in {root.name}/" if train_folder else ""
    layout.description = _kind(layout.train) + where
    test = _child(data, _TEST)
    if test is not None:
        layout.notes.append(f"{test.name}/ is never trained on")
    return layout


def _read_split(folder: Path, layout: Layout) -> Split:
    clean, noisy, noise = (_child(folder, (name,)) for name in ("clean", "noisy", "noise"))
    if clean is None or (noisy is None and noise is None):
        missing = "clean/" if clean is None else "noisy/ and no noise/"
        raise DataError(f"{folder}: there is no {missing}; {contents_of(folder)}", EXPECTED)
    if noisy is not None:
        if noise is not None:
            layout.notes.append(f"{noise} is not used: clean/ and noisy/ are pairs")
        return Split(pairs=read_pairs(clean, noisy, layout.findings))
    assert noise is not None
    rir = _child(folder, ("rir",))
    return Split(
        clean=_recordings(clean, layout.findings),
        noise=_recordings(noise, layout.findings),
        rir=_recordings(rir, layout.findings) if rir else [],
    )


def _take_inner_validation(root: Path, layout: Layout) -> None:
    """What lies in clean/valid/ and so on validates, if every kind of file has it."""
    split = layout.train
    kinds = [folder for name in ("clean", "noise") if (folder := _child(root, (name,)))]
    places = {place for kind in kinds if (place := _child(_unwrapped(kind), _VALID))}

    def is_wanted(file: Path, validates: bool) -> bool:
        return places.isdisjoint(file.parents) is not validates

    train, valid = (
        Split(
            [pair for pair in split.pairs if is_wanted(pair.clean, validates)],
            [recording for recording in split.clean if is_wanted(recording.file, validates)],
            [recording for recording in split.noise if is_wanted(recording.file, validates)],
            split.rir,
        )
        for validates in (False, True)
    )
    if all(part.pairs or (part.clean and part.noise) for part in (train, valid)):
        layout.train, layout.valid = train, valid
        layout.valid_choice = "as given in the folders inside"


def _kind(split: Split) -> str:
    return "pairs of clean/ and noisy/" if split.pairs else "clean/ and noise/, mixed on the fly"


def read_pairs(clean: Path, noisy: Path, findings: Findings) -> list[Pair]:
    """The files of two folders that have the same name but for the suffix, in order.

    What has no partner is noted. Raises DataError if there is not a single pair.
    """
    clean_files = _by_name(clean, findings)
    noisy_files = _by_name(noisy, findings)
    names = [name for name in clean_files if name in noisy_files]
    if not names:
        raise DataError(
            f"{clean} and {noisy}: none of {len(clean_files)} and {len(noisy_files)} files pair up",
            "names have to agree but for the suffix, e.g. not "
            f"{next(iter(clean_files))} and {next(iter(noisy_files))}; or write a manifest.csv",
        )
    for files, others in ((clean_files, noisy_files), (noisy_files, clean_files)):
        for name in sorted(files.keys() - others.keys()):
            findings.add("no partner", LEFT_OUT, files[name])
    groups = groups_of(names)
    return [
        Pair(clean_files[name], noisy_files[name], group)
        for name, group in zip(names, groups, strict=True)
    ]


def _by_name(folder: Path, findings: Findings) -> dict[str, Path]:
    """The files of a folder by name; of two with one name the first counts."""
    files: dict[str, Path] = {}
    root = _unwrapped(folder)
    for path in _sorted_audio(root, findings):
        name = audio_name(path.relative_to(root))
        if name in files:
            findings.add("same name as another file", LEFT_OUT, path, f"as {files[name]}")
        else:
            files[name] = path
    return files


def _recordings(folder: Path, findings: Findings) -> list[Recording]:
    root = _unwrapped(folder)
    files = _sorted_audio(root, findings)
    groups = groups_of([path.relative_to(root).as_posix() for path in files])
    return [Recording(path, group) for path, group in zip(files, groups, strict=True)]


def _sorted_audio(folder: Path, findings: Findings) -> list[Path]:
    """The audio files of a folder; those in test folders inside it are noted and left out."""
    files = []
    for path in sorted(audio_files(folder, _SUFFIXES)):
        if any(part.lower() in _TEST for part in path.relative_to(folder).parent.parts):
            findings.add("in a test folder, never trained on", LEFT_OUT, path)
        else:
            files.append(path)
    if not files:
        raise DataError(
            f"{folder}: no audio files found to train on",
            "files are found by their suffix (.wav, .flac, .ogg, .mp3, ...), but not in test/",
        )
    return files


def _unwrapped(folder: Path) -> Path:
    """The folder, or the one of the same name that unpacking put into it, with nothing beside."""
    inner = folder / folder.name
    if inner.is_dir() and all(path.suffix.lower() not in _SUFFIXES for path in folder.iterdir()):
        return inner
    return folder


def has_known_folders(data: Path) -> bool:
    """Whether `read_folders` knows any of the folders in `data`."""
    return _is_split(data) or any(_child(data, names) for names in (_TRAIN, _TEST))


def _is_split(folder: Path) -> bool:
    return any(_child(folder, (name,)) for name in ("clean", "noisy", "noise"))


def _child(folder: Path, names: Sequence[str]) -> Path | None:
    """The sub-folder of one of these names, in small or capital letters."""
    found = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((found[name] for name in names if name in found), None)


def contents_of(folder: Path) -> str:
    """What a folder holds, for an error."""
    entries = sorted(folder.iterdir())
    folders = [f"{path.name}/" for path in entries if path.is_dir()]
    files = len(entries) - len(folders)
    found = [*folders[:6], *(["..."] if len(folders) > 6 else []), f"{files} files"]
    return f"it holds {', '.join(found)}" if entries else "it is empty"
