"""What a data folder holds, recognised by the names of its folders; no audio file is opened.

Known are pairs (`clean/` and `noisy/`), material to be mixed (`clean/`, `noise/`, perhaps `rir/`),
either of them inside `train/` and `valid/`, the folders of VoiceBank+DEMAND as they are
distributed, and a manifest, which comes before the folders. Test folders are never trained on.
"""

from __future__ import annotations

from pathlib import Path

from mbs_cli.data.folders import EXPECTED, contents_of, has_known_folders, read_folders
from mbs_cli.data.manifest import is_manifest, read_manifest
from mbs_cli.data.split import Layout
from mbs_cli.data.voicebank import is_test_set, notes_on_test_sets, read_voicebank, voicebank_sets
from mbs_cli.errors import DataError

_MANIFEST = "manifest.csv"


def recognise(data: Path) -> Layout:
    """What `data`, a folder or a manifest, holds.

    Raises DataError that says what was found there and what was expected, if it is none of the
    known forms, if one half is missing, if there is a test set alone, or if nothing pairs up.
    """
    try:
        return _recognise(data)
    except OSError as error:
        raise DataError(f"{data}: cannot be read: {error}", "check the path") from error


def _recognise(data: Path) -> Layout:
    if not data.exists():
        raise DataError(f"{data}: no such folder", f"check the path; {EXPECTED}")
    manifest = data / _MANIFEST if data.is_dir() else data
    if not data.is_dir() or is_manifest(manifest):
        return read_manifest(manifest)
    sets = voicebank_sets(data)
    is_known = has_known_folders(data)
    if sets and not (is_known and all(is_test_set(name) for name in sets)):
        return read_voicebank(data, sets)
    if is_known:
        layout = read_folders(data)
        layout.notes += notes_on_test_sets(sets)
        if manifest.is_file():
            layout.notes.append(f"{_MANIFEST} is not used: its columns are not those of a manifest")
        return layout
    if manifest.is_file():
        return read_manifest(manifest)
    raise DataError(f"{data}: no training data recognised; {contents_of(data)}", EXPECTED)
