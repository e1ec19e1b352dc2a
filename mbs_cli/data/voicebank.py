"""VoiceBank+DEMAND as it is distributed: https://doi.org/10.7488/ds/2117."""

from __future__ import annotations

import re
from pathlib import Path

from mbs_cli.data.folders import contents_of, read_pairs
from mbs_cli.data.split import Layout, Split
from mbs_cli.errors import DataError

# For example noisy_trainset_28spk_wav and clean_testset_wav.
_FOLDER = re.compile(r"(clean|noisy)_((?:train|test)set(?:_\d+spk)?)(?:_wav)?(?:_16k)?")


def voicebank_sets(data: Path) -> dict[str, dict[str, Path]]:
    """The folders of VoiceBank+DEMAND: set ("trainset_28spk") -> "clean" and "noisy" -> path."""
    sets: dict[str, dict[str, Path]] = {}
    for path in sorted(data.iterdir()):
        match = _FOLDER.fullmatch(path.name.lower())
        if match and path.is_dir():
            sets.setdefault(match[2], {})[match[1]] = path
    return sets


def read_voicebank(data: Path, sets: dict[str, dict[str, Path]]) -> Layout:
    """The pairs of every training set there is.

    Raises DataError if there is none, or only its clean or noisy half.
    """
    training = {name: sides for name, sides in sets.items() if not is_test_set(name)}
    if not training:
        raise DataError(
            f"{data}: there is only the test set of VoiceBank+DEMAND; {contents_of(data)}",
            "test folders are never trained on; unpack clean_trainset_28spk_wav.zip and "
            "noisy_trainset_28spk_wav.zip beside it",
        )
    layout = Layout(f"VoiceBank+DEMAND, {' and '.join(training)}", Split())
    for name, sides in training.items():
        missing = {"clean", "noisy"} - sides.keys()
        if missing:
            side = missing.pop()
            raise DataError(
                f"{data}: {next(iter(sides.values())).name} has no counterpart",
                f"unpack {side}_{name}_wav.zip beside it",
            )
        layout.train.pairs.extend(read_pairs(sides["clean"], sides["noisy"], layout.findings))
    layout.notes += notes_on_test_sets(sets)
    return layout


def is_test_set(name: str) -> bool:
    """Whether a set, such as "testset", is one that is never trained on."""
    return name.startswith("test")


def notes_on_test_sets(sets: dict[str, dict[str, Path]]) -> list[str]:
    """That their folders are left alone."""
    return [
        f"{path.name}/ is never trained on"
        for name, sides in sets.items()
        if is_test_set(name)
        for path in sides.values()
    ]
