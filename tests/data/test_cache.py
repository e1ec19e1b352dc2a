"""Decoding once: what is read back is what is in the files, and bad files cost no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mbs_cli.data.cache import open_store
from mbs_cli.data.layout import find_splits, read_sources
from mbs_cli.errors import DataError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLEAN = sorted((EXAMPLES / "clean").glob("*.flac"))


def test_clips_are_those_of_the_files(tmp_path: Path) -> None:
    store = open_store(CLEAN[:3], tmp_path)
    for clip, file in enumerate(CLEAN[:3]):
        samples, _ = soundfile.read(file, dtype="float32")
        assert store.length(clip) == len(samples)
        np.testing.assert_allclose(store.read(clip), samples, atol=1e-4)
        np.testing.assert_allclose(store.read(clip, 100, 50), samples[100:150], atol=1e-4)


def test_the_second_time_nothing_is_decoded(tmp_path: Path) -> None:
    decoded: list[int] = []
    for _ in range(2):
        open_store(CLEAN[:2], tmp_path, lambda done, _: decoded.append(done))
    assert decoded == [1, 2]


def test_a_changed_file_is_decoded_again(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, np.full(1600, 0.25), 16000)
    assert open_store([file], tmp_path / "cache").length(0) == 1600
    soundfile.write(file, np.full(3200, 0.25), 16000)
    assert open_store([file], tmp_path / "cache").length(0) == 3200


def test_other_rates_and_channels_become_16_khz_mono(tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(CLEAN[0], dtype="float32")
    file = tmp_path / "stereo.wav"
    soundfile.write(file, np.repeat(np.stack([samples, samples], 1), 2, axis=0), 2 * rate_hz)
    assert open_store([file], tmp_path / "cache").length(0) == len(samples)


def test_bad_files_are_left_out_with_the_reason(tmp_path: Path) -> None:
    broken, silent, not_finite = (tmp_path / f"{name}.wav" for name in ("broken", "silent", "nan"))
    broken.write_bytes(b"RIFF no more")
    soundfile.write(silent, np.zeros(1600), 16000)
    soundfile.write(not_finite, np.array([0.0, np.nan, 0.1]), 16000, subtype="FLOAT")
    store = open_store([broken, CLEAN[0], silent, not_finite], tmp_path / "cache")
    assert store.files == [CLEAN[0]]
    assert "cannot be read" in store.skipped[str(broken)]
    assert "silence" in store.skipped[str(silent)]
    assert "not finite" in store.skipped[str(not_finite)]
    with pytest.raises(DataError, match=r"none of 1 .*silent\.wav"):
        open_store([silent], tmp_path / "cache")


def test_a_folder_without_split_is_split_by_speaker(tmp_path: Path) -> None:
    for kind in ("clean", "noise"):
        for speaker in range(5):
            folder = tmp_path / kind / f"s{speaker}"
            folder.mkdir(parents=True)
            for take in range(2):
                (folder / f"{take}.wav").touch()
    train, valid = find_splits(tmp_path)
    assert len(train.clean) == 8
    assert len(valid.clean) == 2
    assert not {path.parent for path in train.clean} & {path.parent for path in valid.clean}


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "clean: no audio files found"),
        (["train/clean", "train/noise"], "no valid/"),
        (["clean"], "clean: no audio files"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, folders: list[str], message: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        find_splits(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_splits(tmp_path / "absent")


def test_sources_are_read_and_anything_else_is_refused(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []
    file = tmp_path / "sources.json"
    file.write_text('[{"name": "My voices", "licence": "CC0-1.0"}]')
    assert read_sources(tmp_path) == [{"name": "My voices", "licence": "CC0-1.0"}]
    for text in ("no JSON", '{"name": "x"}', '[{"name": 3}]'):
        file.write_text(text)
        with pytest.raises(DataError, match=r"sources\.json"):
            read_sources(tmp_path)
