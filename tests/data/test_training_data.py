"""From a folder to clips and a report: a decision on every file, and clear errors before time."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from mbs_cli.commands.data_report import data_lines, data_table
from mbs_cli.data.report import DataReport
from mbs_cli.errors import DataError
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.training_data import TrainingData, open_training_data

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

CopyPair = Callable[..., None]


def open_data(data: Path, cache: Path, **options: object) -> TrainingData:
    return open_training_data(TrainConfig(data, cache / "run", steps=1, cache=cache, **options))


def decisions(report: DataReport) -> dict[tuple[str, str], list[str]]:
    return {
        (finding.decision, finding.what): [Path(file).stem for file in finding.files]
        for finding in report.findings
    }


def test_the_examples_are_a_small_set_of_pairs(tmp_path: Path) -> None:
    data = open_data(EXAMPLES, tmp_path)
    report = data.report
    assert report.layout == "pairs of clean/ and noisy/"
    assert (report.training.pairs, report.validation.pairs) == (6, 2)
    assert report.training.rates_hz == {16000: 12}
    assert report.findings == []
    assert [item.name for item in data.validation] == ["en_babble_5db", "fr_hiss_8db"]
    samples, _ = soundfile.read(EXAMPLES / "noisy" / "en_babble_5db.flac", dtype="float32")
    np.testing.assert_allclose(data.validation[0].noisy, samples, atol=1e-4)
    assert data.train.clip(0)[0].shape == (32000,)


def test_voicebank_as_distributed_trains_and_validates_on_its_speakers(
    voicebank: Path, tmp_path: Path
) -> None:
    data = open_data(voicebank, tmp_path / "cache", validation_items=3)
    report = data.report
    assert (report.training.pairs, report.training.speakers) == (4, 2)
    assert report.training.rates_hz == {48000: 8}
    assert report.training.speech_hours == pytest.approx(4 * 1.5 / 3600, rel=0.01)
    assert report.validation_choice == "held out by speaker: p286, p287"
    assert [item.name for item in data.validation] == ["p286_001", "p287_001", "p286_002"]
    assert report.findings == []


@pytest.fixture
def flawed(tmp_path: Path, copy_pair: CopyPair) -> Path:
    """Two speakers with good pairs and one of every kind of flaw."""
    root = tmp_path / "flawed"
    clean, noisy = root / "clean", root / "noisy"
    for number in range(4):
        copy_pair(
            number, *(side / f"s{number % 2}" / f"good{number}.wav" for side in (clean, noisy))
        )

    def flaw(name: str, changed: Path, samples: np.ndarray, rate_hz: int = 16000) -> None:
        copy_pair(2, clean / "s1" / f"{name}.wav", noisy / "s1" / f"{name}.wav")
        soundfile.write(changed / "s1" / f"{name}.wav", samples, rate_hz, subtype="FLOAT")

    speech, _ = soundfile.read(EXAMPLES / "noisy" / "es_fan_5db.flac", dtype="float32")
    stretch = speech[8000:32000]
    flaw("silent", clean, np.zeros(24000))
    flaw("nan", noisy, np.where(np.arange(24000) == 7, np.nan, stretch))
    flaw("longer", noisy, speech[8000:33000])
    flaw("much_longer", noisy, speech[8000:40000])
    flaw("short", clean, stretch[:800])
    flaw("clipped", noisy, np.clip(20 * stretch, -1, 1))
    flaw("narrow", noisy, stretch[::2], 8000)
    flaw("late", noisy, np.concatenate([np.zeros(160), stretch[:-160]]))
    flaw("corrupt", noisy, stretch)
    (noisy / "s1" / "corrupt.wav").write_bytes(b"RIFF" + bytes(100))
    (noisy / "s1" / "corrupt2.wav").symlink_to("nowhere.wav")
    copy_pair(1, clean / "s1" / "alone.wav", root / "ignored.wav")
    copy_pair(1, clean / "s1" / "corrupt2.wav", root / "ignored.wav")
    return root


def test_every_flaw_is_found_and_decided(flawed: Path, tmp_path: Path) -> None:
    report = open_data(flawed, tmp_path / "cache").report
    assert decisions(report) == {
        ("left out", "no partner"): ["alone"],
        ("left out", "unreadable"): ["corrupt", "corrupt2"],
        ("left out", "samples that are not finite numbers"): ["nan"],
        ("left out", "silent"): ["silent"],
        ("left out", "too short"): ["short"],
        ("left out", "partner not usable"): ["corrupt", "corrupt2", "nan", "short", "silent"],
        ("left out", "lengths of a pair differ"): ["much_longer"],
        ("trimmed", "lengths of a pair differ"): ["longer"],
        ("used", "clipped"): ["clipped"],
        ("used", "sampled below 16 kHz"): ["narrow"],
        ("used", "sample rates of a pair differ"): ["narrow"],
        ("used", "sides of a pair are not aligned"): ["late"],
    }
    assert report.training.pairs == 6
    assert report.validation.pairs == 2
    assert json.loads(json.dumps(asdict(report)))["validation_choice"] == "held out by speaker: s0"


def test_the_report_names_what_was_decided_on_a_terminal_and_in_lines(
    flawed: Path, tmp_path: Path
) -> None:
    report = open_data(flawed, tmp_path / "cache").report
    text = "\n".join(data_lines(report))
    assert "training: 6 pairs, 0.1 min (1 speaker), 8000 Hz (1), 16000 Hz (11)" in text
    assert "left out: 2 files, unreadable: " in text
    console = Console(width=150, record=True, file=StringIO())
    console.print(data_table(report))
    table = console.export_text()
    for finding in report.findings:
        assert finding.what in table


def test_mixed_material_is_reported_and_held_out_by_speaker(
    tmp_path: Path, copy_pair: CopyPair
) -> None:
    for number in range(4):
        folders = (tmp_path / "data" / kind / f"g{number}" for kind in ("clean", "noise"))
        copy_pair(number, *(folder / "a.wav" for folder in folders))
    data = open_data(tmp_path / "data", tmp_path / "cache", validation_items=3)
    training = data.report.training
    assert (training.speech_files, training.noise_files, training.pairs) == (3, 3, 0)
    assert (training.speakers, training.noise_kinds) == (3, 3)
    assert data.report.validation_choice == "held out by speaker: g0; noise: g0/a"
    assert len(data.validation) == 3
    assert "3 files of speech" in data_lines(data.report)[1]


def test_speakers_on_both_sides_of_a_given_split_are_said(
    tmp_path: Path, copy_pair: CopyPair
) -> None:
    for split in ("train", "valid"):
        for take in range(2):
            sides = (tmp_path / "data" / split / side for side in ("clean", "noisy"))
            copy_pair(take, *(side / f"p226_{take:03d}.wav" for side in sides))
    (note,) = open_data(tmp_path / "data", tmp_path / "cache").report.notes
    assert note == "speakers that both train and validate: p226"


def test_one_pair_alone_is_refused_before_it_is_decoded(
    tmp_path: Path, copy_pair: CopyPair
) -> None:
    copy_pair(0, tmp_path / "data" / "clean" / "a.wav", tmp_path / "data" / "noisy" / "a.wav")
    with pytest.raises(DataError, match="1 usable pairs: one part has to train"):
        open_data(tmp_path / "data", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_nothing_usable_names_a_file_and_its_flaw(tmp_path: Path) -> None:
    for side in ("clean", "noisy"):
        (tmp_path / "data" / side).mkdir(parents=True)
        for name in "ab":
            soundfile.write(tmp_path / "data" / side / f"{name}.wav", np.zeros(16000), 16000)
    with pytest.raises(DataError, match=r"no usable file is left for training.*silent"):
        open_data(tmp_path / "data", tmp_path / "cache")


def test_what_is_missing_names_a_file_of_that_split(tmp_path: Path, noisy_file: Path) -> None:
    for split in ("train", "valid"):
        for kind in ("clean", "noise"):
            folder = tmp_path / "data" / split / kind
            folder.mkdir(parents=True)
            shutil.copy(noisy_file, folder / "a.flac")
    (tmp_path / "data/train/clean/bad.wav").write_bytes(b"nonsense")
    soundfile.write(tmp_path / "data/valid/clean/a.flac", np.zeros(16000), 16000)
    with pytest.raises(DataError, match=r"no usable speech .* validation.*valid/clean/a.flac: sil"):
        open_data(tmp_path / "data", tmp_path / "cache")


def test_other_sound_of_the_same_length_is_other_data(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "data")
    before = open_data(tmp_path / "data", tmp_path / "cache").sha256
    assert open_data(tmp_path / "data", tmp_path / "cache").sha256 == before
    for path in (tmp_path / "data" / "noisy").iterdir():
        samples, rate_hz = soundfile.read(path)
        soundfile.write(path, samples / 2, rate_hz)
    assert open_data(tmp_path / "data", tmp_path / "cache").sha256 != before


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_what_only_ffmpeg_reads_trains(tmp_path: Path) -> None:
    for path in (*EXAMPLES.glob("clean/*.flac"), *EXAMPLES.glob("noisy/*.flac")):
        coded = tmp_path / "data" / path.parent.name / f"{path.stem}.m4a"
        coded.parent.mkdir(parents=True, exist_ok=True)
        lossless = ("-c:a", "alac", "-sample_fmt", "s16p", coded)
        subprocess.run(["ffmpeg", "-v", "error", "-i", path, *lossless], check=True)
    coded_data, plain = (
        open_data(tmp_path / "data", tmp_path / "cache"),
        open_data(EXAMPLES, tmp_path),
    )
    assert coded_data.report.findings == []
    for one, other in zip(coded_data.validation, plain.validation, strict=True):
        np.testing.assert_array_equal(one.noisy, other.noisy)


def test_without_ffmpeg_what_it_would_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EXAMPLES / "clean", tmp_path / "data" / "clean")
    shutil.copytree(EXAMPLES / "noisy", tmp_path / "data" / "noisy")
    (tmp_path / "data/clean/x.m4a").write_bytes(bytes(100))
    (tmp_path / "data/noisy/x.m4a").write_bytes(bytes(100))
    monkeypatch.setenv("PATH", "")
    report = open_data(tmp_path / "data", tmp_path / "cache").report
    assert decisions(report)[("left out", "unreadable")] == ["x", "x"]
