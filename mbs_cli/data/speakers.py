"""Who speaks in which file, and whose voices are held out for validation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mbs_cli.data.split import NO_GROUP, Pair, Recording, Split
from mbs_cli.errors import DataError

# VCTK and VoiceBank call their files p226_001.wav: speaker, sentence.
_SPEAKER_IN_NAME = re.compile(r"([ps]\d{1,4})_\d+", re.IGNORECASE)

# The speakers of VoiceBank+DEMAND that published work validates on.
_VOICEBANK_VALIDATION = frozenset({"p286", "p287"})

_VALIDATION_SHARE = 20  # where no split is given, one speaker in that many validates
_NAMES_SHOWN = 4


def groups_of(names: Sequence[str]) -> list[str]:
    """The speaker of every file, by relative path: its folder, or a VoiceBank-like name.

    Of LibriSpeech's folders, speaker and chapter, the speaker counts. Names count where all files
    lie in one folder and every name begins with a speaker.
    """
    folders = [_folder_of(PurePosixPath(name)) for name in names]
    if len(set(folders)) > 1:
        return folders
    matches = [_SPEAKER_IN_NAME.match(PurePosixPath(name).name) for name in names]
    speakers = [match[1].lower() for match in matches if match]
    return speakers if len(speakers) == len(names) else folders


def _folder_of(path: PurePosixPath) -> str:
    """The folder, or the one around it if the file is named for both, as 19/198/19-198-0001."""
    chapter, speaker = path.parent, path.parent.parent
    is_named_for_both = speaker.name and any(
        path.name.startswith(f"{speaker.name}{mark}{chapter.name}{mark}") for mark in "-_"
    )
    return str(speaker if is_named_for_both else chapter)


def hold_out(whole: Split) -> tuple[Split, Split, str]:
    """A training and a validation split, and how they came about.

    Of VoiceBank, p286 and p287 validate. Of other pairs every 20th speaker does, or two of fewer
    than 40; of speech and noise every 20th speaker and every 20th kind of noise. Files that are of
    nobody in particular or all of a single group are held out one by one, and so is noise of fewer
    than 20 kinds, as each of these should train. Raises DataError if nothing would be left to train
    on.
    """
    if whole.pairs:
        keys = _keys(whole.pairs)
        stride = min(_VALIDATION_SHARE, max(4, -(-len(set(keys)) // 2)))
        train, valid = _divide(whole.pairs, keys, "pairs", stride)
        return Split(train), Split(valid), _describe(whole.pairs, valid)
    voices = _keys(whole.clean)
    clean = _divide(whole.clean, voices, "files of speech", _VALIDATION_SHARE)
    kinds = _keys(whole.noise, fewest_groups=_VALIDATION_SHARE)
    noise = _divide(whole.noise, kinds, "files of noise", _VALIDATION_SHARE)
    return (
        replace(whole, clean=clean[0], noise=noise[0]),
        replace(whole, clean=clean[1], noise=noise[1]),
        f"{_describe(whole.clean, clean[1])}; noise: {first_names(_names(noise[1]))}",
    )


_Item = TypeVar("_Item", Recording, Pair)


def _file_of(item: Recording | Pair) -> Path:
    return item.clean if isinstance(item, Pair) else item.file


def _keys(items: Sequence[_Item], fewest_groups: int = 2) -> list[str]:
    """What is held out together: the group, or the file where there are too few of these."""
    groups = [item.group for item in items]
    if len(set(groups)) < fewest_groups:
        return [str(_file_of(item)) for item in items]
    return [str(_file_of(item)) if item.group == NO_GROUP else item.group for item in items]


def _divide(
    items: list[_Item], keys: list[str], what: str, stride: int
) -> tuple[list[_Item], list[_Item]]:
    unique = sorted(set(keys), key=lambda key: PurePosixPath(key).parts)
    is_voicebank = set(unique) > _VOICEBANK_VALIDATION
    held = _VOICEBANK_VALIDATION if is_voicebank else frozenset(unique[::stride])
    if len(unique) < 2:
        raise DataError(
            f"{len(unique)} usable {what}: one part has to train and another to validate",
            "add more recordings, or give train/ and valid/",
        )
    train = [item for item, key in zip(items, keys, strict=True) if key not in held]
    valid = [item for item, key in zip(items, keys, strict=True) if key in held]
    return train, valid


def _describe(whole: Sequence[Recording | Pair], valid: Sequence[Recording | Pair]) -> str:
    speakers = {item.group for item in whole}
    if len(speakers) == 1:
        why = "speakers are not told apart" if NO_GROUP in speakers else "there is one speaker"
        names = first_names([_file_of(item).stem for item in valid])
        return f"held out by file, as {why}: {names}"
    named = [_file_of(item).stem if item.group == NO_GROUP else item.group for item in valid]
    return f"held out by speaker: {first_names(named)}"


def _names(items: Sequence[Recording]) -> list[str]:
    """Kind and name of every file."""
    return [str(PurePosixPath(item.group) / item.file.stem) for item in items]


def first_names(names: Sequence[str]) -> str:
    """Every name once, but no more than a few of them, for a message."""
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - _NAMES_SHOWN} more" if len(unique) > _NAMES_SHOWN else ""
    return ", ".join(unique[:_NAMES_SHOWN]) + more
