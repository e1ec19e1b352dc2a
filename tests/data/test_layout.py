"""What users have is recognised by its folders, and what is not says what was expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mbs_cli.data.layout import recognise
from mbs_cli.data.report import LEFT_OUT
from mbs_cli.data.sources import read_sources
from mbs_cli.data.speakers import groups_of, hold_out
from mbs_cli.data.split import Layout
from mbs_cli.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names_of(layout: Layout) -> list[str]:
    return [pair.clean.stem for pair in layout.train.pairs]


def findings_of(layout: Layout) -> dict[str, list[str]]:
    return {
        finding.what: [Path(file).name for file in finding.files]
        for finding in layout.findings.all()
        if finding.decision == LEFT_OUT
    }


def test_pairs_agree_in_all_but_the_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "clean/a.wav", "clean/s/b.flac", "clean/alone.wav", "clean/notes.txt")
    touch(tmp_path, "noisy/a.flac", "noisy/s/b.wav", "noisy/other.wav", "noisy/a.wav")
    layout = recognise(tmp_path)
    assert layout.description == "pairs of clean/ and noisy/"
    assert names_of(layout) == ["a", "b"]
    assert layout.valid is None
    assert findings_of(layout) == {
        "no partner": ["alone.wav", "other.wav"],
        "same name as another file": ["a.wav"],
    }


@pytest.mark.parametrize("valid", ["valid", "val", "dev", "Validation"])
def test_splits_are_taken_as_given_and_test_folders_left_alone(tmp_path: Path, valid: str) -> None:
    for folder, name in (("train", "a"), (valid, "b"), ("test", "c")):
        touch(tmp_path, f"{folder}/clean/{name}.wav", f"{folder}/noisy/{name}.wav")
    layout = recognise(tmp_path)
    assert names_of(layout) == ["a"]
    assert layout.valid is not None
    assert [pair.clean.stem for pair in layout.valid.pairs] == ["b"]
    assert layout.notes == ["test/ is never trained on"]
    assert not any("test" in path.parts for path in layout.files)


def test_noise_beside_pairs_is_not_used_and_this_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "clean/a.wav", "noisy/a.wav", "noise/a.wav")
    (note,) = recognise(tmp_path).notes
    assert "noise is not used" in note


def test_voicebank_is_known_by_its_official_names(voicebank: Path) -> None:
    layout = recognise(voicebank)
    assert layout.description == "VoiceBank+DEMAND, trainset_28spk"
    assert len(layout.notes) == 2
    assert not any("testset" in str(path) for path in layout.files)
    train, valid, choice = hold_out(layout.train)
    assert train.speakers == ["p226", "p243"]
    assert valid.speakers == ["p286", "p287"]
    assert choice == "held out by speaker: p286, p287"


def test_both_sets_of_voicebank_train_together_even_unpacked_twice(tmp_path: Path) -> None:
    for count, speaker in ((28, "p226"), (56, "p234")):
        for side in ("clean", "noisy"):
            folder = f"{side}_trainset_{count}spk_wav"
            touch(tmp_path, f"{folder}/{folder if side == 'noisy' else ''}/{speaker}_001.wav")
    assert names_of(recognise(tmp_path)) == ["p226_001", "p234_001"]


def test_speakers_are_folders_or_voicebank_like_names() -> None:
    assert groups_of(["a/1.wav", "a/2.wav", "b/p226_001.wav"]) == ["a", "a", "b"]
    assert groups_of(["p226_001.wav", "P227_001_mic1.wav"]) == ["p226", "p227"]
    assert groups_of(["p226_001.wav", "street.wav"]) == [".", "."]
    librispeech = ["19/198/19-198-0001.flac", "19/227/19-227-0000.flac", "26/495/26_495_01.wav"]
    assert groups_of(librispeech) == ["19", "19", "26"]


def test_every_twentieth_speaker_and_noise_is_held_out_of_material_to_be_mixed(
    tmp_path: Path,
) -> None:
    for kind in ("clean", "noise"):
        touch(
            tmp_path, *(f"{kind}/s{group:02d}/{take}.wav" for group in range(25) for take in "ab")
        )
    train, valid, _ = hold_out(recognise(tmp_path).train)
    assert {path.parent.name for path in valid.files} == {"s00", "s20"}
    assert len(train.clean) == len(train.noise) == 46


def test_every_kind_of_few_noises_trains(tmp_path: Path) -> None:
    touch(tmp_path, "clean/ann/1.wav", "clean/ben/1.wav")
    touch(tmp_path, *(f"noise/street/{number:02d}.wav" for number in range(15)))
    touch(tmp_path, *(f"noise/drone{number:02d}.wav" for number in range(35)))
    train, valid, choice = hold_out(recognise(tmp_path).train)
    assert {recording.group for recording in train.noise} == {".", "street"}
    assert (len(train.noise), len(valid.noise)) == (47, 3)
    assert choice == "held out by speaker: ann; noise: drone00, drone20, street/05"


def test_files_of_nobody_beside_folders_of_speakers_are_held_out_one_by_one(tmp_path: Path) -> None:
    for side in ("clean", "noisy"):
        touch(tmp_path, *(f"{side}/{number:02d}.wav" for number in range(50)), f"{side}/ann/1.wav")
    train, valid, choice = hold_out(recognise(tmp_path).train)
    assert (len(train.pairs), len(valid.pairs)) == (48, 3)
    assert choice == "held out by speaker: 00, 20, 40"


@pytest.mark.parametrize(("pairs", "held"), [(2, 1), (3, 1), (4, 1), (8, 2), (60, 3)])
def test_few_pairs_of_one_speaker_are_split_by_file(tmp_path: Path, pairs: int, held: int) -> None:
    for side in ("clean", "noisy"):
        touch(tmp_path, *(f"{side}/{number:02d}.wav" for number in range(pairs)))
    train, valid, choice = hold_out(recognise(tmp_path).train)
    assert (len(train.pairs), len(valid.pairs)) == (pairs - held, held)
    assert choice.startswith("held out by file, as speakers are not told apart: 00")


def manifest(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "manifest.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_a_manifest_names_pairs_speakers_and_splits(tmp_path: Path) -> None:
    text = (
        "Split,noisy,clean,speaker,remark\n"
        "train,n/1.wav,c/x.wav,ann,fine\n"
        ",n/2.wav,/elsewhere/y.wav,ben,\n"
        "dev,n/3.wav,c/z.wav,cleo,\n"
        "test,n/4.wav,c/w.wav,dora,\n"
        "train,,c/v.wav,ann,\n"
    )
    manifest(tmp_path, text)
    layout = recognise(tmp_path)
    assert [pair.clean for pair in layout.train.pairs] == [
        tmp_path / "c" / "x.wav",
        Path("/elsewhere/y.wav"),
    ]
    assert layout.train.speakers == ["ann", "ben"]
    assert layout.valid is not None
    assert layout.valid.speakers == ["cleo"]
    assert findings_of(layout) == {"no partner": ["v.wav"]}
    assert layout.notes == [
        "lines of the test split, never trained on: 1",
        "columns of the manifest that are not used: remark",
    ]


def test_a_manifest_comes_before_the_folders_that_its_files_lie_in(tmp_path: Path) -> None:
    touch(tmp_path, "clean/a.wav", "noisy/a.wav", "clean/b.wav", "noisy/b.wav")
    path = manifest(tmp_path, "clean,noisy,speaker\nclean/a.wav,noisy/b.wav,ann\n")
    assert recognise(tmp_path).train.speakers == ["ann"]
    path.write_text("path,seconds\nclean/a.wav,3\n")
    layout = recognise(tmp_path)
    assert names_of(layout) == ["a", "b"]
    assert "manifest.csv is not used" in layout.notes[0]


def test_one_speaker_alone_is_split_by_file(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{side}/ann/{take}.wav" for side in ("clean", "noisy") for take in "abcd"))
    choice = hold_out(recognise(tmp_path).train)[2]
    assert choice == "held out by file, as there is one speaker: a"


def test_a_manifest_names_speech_noise_and_rooms(tmp_path: Path) -> None:
    path = manifest(tmp_path, "clean,noise,rir\na/1.wav,n/1.wav,r.wav\nb/2.wav,,\n,m/2.wav,\n")
    split = recognise(path).train
    assert [len(part) for part in (split.clean, split.noise, split.rir)] == [2, 2, 1]
    assert split.speakers == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its columns are none"),
        ("clean,noisy\n", "no line below"),
        ("clean,noisy,noise\na,b,c\n", "its columns are clean, noisy, noise"),
        ("noisy,speaker\na,b\n", "its columns are noisy, speaker"),
        ("clean,noisy,split\na,b,train\na,b,trian\n", "line 3: the split is 'trian'"),
        ("clean,noisy,split\n\n\na,b,train\na,b,trian\n", "line 5: the split is 'trian'"),
        ("clean,noise\na.wav,\n", "the train split lacks"),
        ("clean,noisy\na\0.wav,a.wav\n", "holds NUL bytes"),
        ("clean,noisy,split\na,b,test\n", "the train split lacks"),
    ],
)
def test_a_manifest_that_trains_nothing_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        recognise(manifest(tmp_path, text))


def test_a_file_that_is_no_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(DataError, match="cannot be read as CSV"):
        recognise(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no training data recognised; it is empty"),
        (["wavs/a.wav", "b.wav"], "no training data recognised; it holds wavs/, 1 files"),
        (["clean/a.wav"], "there is no noisy/ and no noise/"),
        (["noisy/a.wav"], "there is no clean/"),
        (["clean/a.txt", "noisy/a.wav"], "clean: no audio files found"),
        (["clean/a.wav", "noisy/b.wav"], "none of 1 and 1 files pair up"),
        (["test/clean/a.wav", "test/noisy/a.wav"], "there is a test folder and nothing to train"),
        (["clean_testset_wav/p232_001.wav"], "only the test set of VoiceBank"),
        (["noisy_trainset_28spk_wav/p226_001.wav"], "has no counterpart"),
        (
            ["train/clean/a.wav", "train/noisy/a.wav", "valid/clean/b.wav", "valid/noise/b.wav"],
            "valid: holds clean/ and noise/",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, files: list[str], message: str) -> None:
    touch(tmp_path, *files)
    with pytest.raises(DataError, match=message) as caught:
        recognise(tmp_path)
    assert caught.value.hint
    with pytest.raises(DataError, match="no such folder"):
        recognise(tmp_path / "absent")


def test_sources_are_read_and_anything_else_is_refused(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []
    file = tmp_path / "sources.json"
    file.write_text('[{"name": "My voices", "licence": "CC0-1.0"}]')
    assert read_sources(tmp_path) == [{"name": "My voices", "licence": "CC0-1.0"}]
    many = json.dumps([{"name": "x" * 1000}] * 1100)
    for text in ("no JSON", '{"name": "x"}', '[{"name": 3}]', many):
        file.write_text(text)
        with pytest.raises(DataError, match=r"sources\.json"):
            read_sources(tmp_path)


def test_test_folders_inside_are_left_out_and_valid_ones_validate(tmp_path: Path) -> None:
    for split, name in (("train", "a"), ("valid", "b"), ("test", "c")):
        touch(tmp_path, f"clean/{split}/{name}.wav", f"noisy/{split}/{name}.wav")
    layout = recognise(tmp_path)
    assert names_of(layout) == ["a"]
    assert layout.valid is not None
    assert [pair.clean.stem for pair in layout.valid.pairs] == ["b"]
    assert findings_of(layout) == {"in a test folder, never trained on": ["c.wav", "c.wav"]}


def test_only_some_kinds_with_a_valid_folder_inside_all_train(tmp_path: Path) -> None:
    touch(tmp_path, "clean/train/a.wav", "clean/valid/b.wav", "clean/Test/c.wav", "noise/n.wav")
    layout = recognise(tmp_path)
    assert [recording.file.stem for recording in layout.train.clean] == ["a", "b"]
    assert layout.valid is None


def test_pairs_beside_a_test_set_of_voicebank_train(tmp_path: Path) -> None:
    touch(tmp_path, "clean/a.wav", "noisy/a.wav")
    touch(tmp_path, "clean_testset_wav/p232_001.wav", "noisy_testset_wav/p232_001.wav")
    layout = recognise(tmp_path)
    assert names_of(layout) == ["a"]
    assert "clean_testset_wav/ is never trained on" in layout.notes


def test_files_beside_a_folder_of_the_same_name_count(tmp_path: Path) -> None:
    touch(tmp_path, "clean/a.wav", "clean/clean/b.wav", "noisy/a.wav", "noisy/clean/b.wav")
    assert names_of(recognise(tmp_path)) == ["a", "b"]
