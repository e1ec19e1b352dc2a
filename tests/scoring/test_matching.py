"""Estimates find their references by path and stem, whatever they are called and stored as."""

import unicodedata
from pathlib import Path

import pytest

from mbs_cli.errors import DataError, UsageError
from mbs_cli.scoring.matching import match


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_formats_folders_spaces_and_letters_do_not_matter(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "\u00fcber") for form in ("NFC", "NFD"))
    clean = tree(tmp_path / "clean", "a b.wav", f"sub/{composed}.flac", "v1.2.wav", "notes.txt")
    other = tree(tmp_path / "other", "a b.FLAC", f"sub/{decomposed}.ogg", "v1.2.mp3", ".x.wav")
    matching = match(clean, [other])
    assert matching.names == ("a b", f"sub/{composed}", "v1.2")
    (system,) = matching.systems
    assert [path.suffix for path in system.estimates.values()] == [".FLAC", ".ogg", ".mp3"]
    assert system.unmatched == ()


def test_what_has_no_counterpart_is_known(tmp_path: Path) -> None:
    clean = tree(tmp_path / "clean", "a.wav", "b.wav")
    other = tree(tmp_path / "other", "b.wav", "c.wav", "sub/a.wav")
    (system,) = match(clean, [other]).systems
    assert list(system.estimates) == ["b"]
    assert sorted(path.name for path in system.unmatched) == ["a.wav", "c.wav"]


def test_two_files_match_whatever_their_names(tmp_path: Path) -> None:
    tree(tmp_path, "speech.wav", "out 1", "out2.flac")
    matching = match(tmp_path / "speech.wav", [tmp_path / "out 1", tmp_path / "out2.flac"])
    assert matching.names == ("speech",)
    assert [system.name for system in matching.systems] == ["out 1", "out2.flac"]


def test_single_files_match_without_a_reference_too(tmp_path: Path) -> None:
    tree(tmp_path, "before.wav", "after.flac", "now.wav")
    matching = match(None, [tmp_path / "before.wav", tmp_path / "after.flac"])
    assert matching.names == ("before",)
    assert [system.name for system in matching.systems] == ["before.wav", "after.flac"]
    assert all(list(system.estimates) == ["before"] for system in matching.systems)


def test_what_only_ffmpeg_reads_is_found(tmp_path: Path) -> None:
    clean = tree(tmp_path / "clean", "a.wav", "b.wav")
    other = tree(tmp_path / "other", "a.m4a", "b.WEBM", "b.mp4")
    (system,) = match(clean, [other]).systems
    assert [path.name for path in system.estimates.values()] == ["a.m4a", "b.WEBM"]


def test_systems_are_told_apart_and_the_noisy_one_comes_first(tmp_path: Path) -> None:
    folders = [tree(tmp_path / name, "x.wav") for name in ("ref", "a/out", "b/out", "input")]
    names = [s.name for s in match(folders[0], folders[1:3], noisy=folders[3]).systems]
    assert names == ["noisy", str(Path("a/out")), str(Path("b/out"))]
    again = match(folders[0], [folders[1], folders[3]], noisy=folders[3]).systems
    assert [(s.name, s.is_noisy) for s in again] == [("noisy", True), ("out", False)]


def test_without_references_every_name_counts(tmp_path: Path) -> None:
    one, two = tree(tmp_path / "1", "a.wav", "b.wav"), tree(tmp_path / "2", "b.wav", "c.wav")
    matching = match(None, [one, two])
    assert matching.names == ("a", "b", "c")
    assert matching.references == {}


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        ("absent", "there is no such file or folder"),
        ("empty", "no audio files in this folder"),
        ("strangers", "none of its 1 files has a counterpart"),
        ("twice", "have the same name"),
    ],
)
def test_folders_that_cannot_be_matched_say_why(
    tmp_path: Path, estimate: str, message: str
) -> None:
    clean = tree(tmp_path / "clean", "a.wav")
    tree(tmp_path / "strangers", "z.wav")
    tree(tmp_path / "twice", "a.wav", "a.flac")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        match(clean, [tmp_path / estimate])


def test_a_file_is_not_compared_with_a_folder(tmp_path: Path) -> None:
    clean = tree(tmp_path / "clean", "a.wav")
    with pytest.raises(UsageError, match="files and folders mixed"):
        match(clean, [clean / "a.wav"])
    with pytest.raises(UsageError, match="nothing to score"):
        match(clean, [])
