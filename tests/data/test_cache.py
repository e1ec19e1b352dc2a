"""Decoding once: what is read back is what is in the files, and bad files cost no others."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mbs_cli.data import cache as cache_module
from mbs_cli.data.cache import open_store
from mbs_cli.errors import DataError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLEAN = sorted((EXAMPLES / "clean").glob("*.flac"))


def decoded_count(files: list[Path], cache: Path) -> int:
    """How many files are decoded anew."""
    decoded: list[int] = []
    open_store(files, cache, lambda done, _: decoded.append(done))
    return len(decoded)


def many_files(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    rng = np.random.default_rng(0)
    files = [folder / f"{number:04d}.wav" for number in range(count)]
    for file in files:
        soundfile.write(file, rng.uniform(-0.5, 0.5, 1600), 16000)
    return files


def test_clips_are_those_of_the_files(tmp_path: Path) -> None:
    store = open_store(CLEAN[:3], tmp_path)
    for clip, file in enumerate(CLEAN[:3]):
        samples, _ = soundfile.read(file, dtype="float32")
        assert store.length(clip) == len(samples)
        np.testing.assert_allclose(store.read(clip), samples, atol=1e-4)
        np.testing.assert_allclose(store.read(clip, 100, 50), samples[100:150], atol=1e-4)
        assert store.number_of[file] == clip


@pytest.mark.parametrize("peak", [0.001, 3.0])
def test_quiet_and_too_loud_files_keep_level_and_resolution(tmp_path: Path, peak: float) -> None:
    samples, _ = soundfile.read(CLEAN[0], dtype="float32")
    samples *= peak / np.abs(samples).max()
    file = tmp_path / "a.wav"
    soundfile.write(file, samples, 16000, subtype="FLOAT")
    np.testing.assert_allclose(
        open_store([file], tmp_path / "cache").read(0), samples, atol=peak / 60_000
    )


def test_other_rates_and_channels_become_16_khz_mono(tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(CLEAN[0], dtype="float32")
    file = tmp_path / "stereo.wav"
    soundfile.write(file, np.repeat(np.stack([samples, samples], 1), 2, axis=0), 2 * rate_hz)
    store = open_store([file], tmp_path / "cache")
    assert store.length(0) == len(samples)
    assert (store.clips[0].rate_hz, store.clips[0].channels) == (32000, 2)
    assert np.corrcoef(store.read(0), samples)[0, 1] > 0.99


def test_the_second_time_nothing_is_decoded(tmp_path: Path) -> None:
    assert decoded_count(CLEAN[:2], tmp_path) == 2
    assert decoded_count(CLEAN[:2], tmp_path) == 0


def test_a_changed_or_new_file_costs_its_own_shard_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_FILES_PER_SHARD", 8)
    files = many_files(tmp_path / "audio", 100)
    assert decoded_count(files, tmp_path / "cache") == 100
    soundfile.write(files[60], np.full(3200, 0.25), 16000)
    assert 1 <= decoded_count(files, tmp_path / "cache") < 60
    assert open_store(files, tmp_path / "cache").length(60) == 3200
    soundfile.write(new := tmp_path / "audio" / "0000b.wav", np.full(1600, 0.25), 16000)
    assert 1 <= decoded_count([*files, new], tmp_path / "cache") < 60


@pytest.mark.parametrize("damage", ["audio cut", "index cut", "index of something else"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    before = open_store(CLEAN[:2], tmp_path).read(1)
    if damage == "audio cut":
        file = next(tmp_path.glob("*.int16"))
        file.write_bytes(file.read_bytes()[:-2])
    else:
        file = next(tmp_path.glob("*.json"))
        file.write_text(file.read_text()[:-9] if damage == "index cut" else '{"clips": [[0, 1]]}')
    assert decoded_count(CLEAN[:2], tmp_path) == 2
    np.testing.assert_array_equal(open_store(CLEAN[:2], tmp_path).read(1), before)


def test_a_killed_run_loses_the_shard_it_was_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_FILES_PER_SHARD", 8)
    files = many_files(tmp_path / "audio", 100)
    script = (
        "import sys, time; from pathlib import Path; from mbs_cli.data import cache\n"
        "cache._FILES_PER_SHARD = 8\n"
        "cache.open_store(sorted(Path(sys.argv[1]).glob('*.wav')), Path(sys.argv[2]),\n"
        "                 lambda *_: time.sleep(0.02))"
    )
    command = [sys.executable, "-c", script, str(files[0].parent), str(tmp_path / "cache")]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("cache/*.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert 1 <= decoded_count(files, tmp_path / "cache") < 100


def test_two_runs_share_a_cache(tmp_path: Path) -> None:
    files = many_files(tmp_path / "audio", 100)
    script = (
        "import sys; from pathlib import Path; from mbs_cli.data.cache import open_store\n"
        "store = open_store(sorted(Path(sys.argv[1]).glob('*.wav')), Path(sys.argv[2]))\n"
        "print(sum(float(abs(store.read(clip)).sum()) for clip in range(len(store))))"
    )
    command = [sys.executable, "-c", script, str(files[0].parent), str(tmp_path / "cache")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = {run.communicate(timeout=60)[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(sums) == 1
    assert decoded_count(files, tmp_path / "cache") == 0


def test_bad_files_are_left_out_with_the_reason(tmp_path: Path) -> None:
    names = ("broken", "silent", "hum", "nan", "empty", "absent", "cut")
    broken, silent, hum, not_finite, empty, absent, cut = (
        tmp_path / f"{name}.wav" for name in names
    )
    broken.write_bytes(b"RIFF no more")
    soundfile.write(silent, np.zeros(1600), 16000)
    soundfile.write(hum, np.full(1600, 3e-5), 16000, subtype="FLOAT")
    soundfile.write(not_finite, np.array([0.0, np.nan, 0.1]), 16000, subtype="FLOAT")
    soundfile.write(empty, np.zeros(0), 16000)
    soundfile.write(cut, np.full(16000, 0.1), 16000)
    cut.write_bytes(cut.read_bytes()[:20000])
    files = [broken, CLEAN[0], silent, hum, not_finite, empty, absent, cut]
    store = open_store(files, tmp_path / "cache")
    assert [clip.file for clip in store.clips] == [CLEAN[0]]
    assert {file.stem: reason.what for file, reason in store.skipped.items()} == {
        "broken": "unreadable",
        "silent": "silent",
        "hum": "silent",
        "nan": "samples that are not finite numbers",
        "empty": "empty",
        "absent": "unreadable",
        "cut": "wrong length",
    }
    assert "no such file" in store.skipped[absent].detail


def test_a_file_that_the_system_refused_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    assert open_store([file], tmp_path / "cache").skipped[file].may_pass
    assert decoded_count([file], tmp_path / "cache") == 1


def test_clipping_is_a_flat_top_and_not_a_peak(tmp_path: Path) -> None:
    samples, _ = soundfile.read(CLEAN[0], dtype="float32")
    normalised, clipped = tmp_path / "normalised.wav", tmp_path / "clipped.wav"
    soundfile.write(normalised, samples / np.abs(samples).max(), 16000)
    soundfile.write(clipped, np.clip(samples * 4 / np.abs(samples).max(), -1, 1), 16000)
    store = open_store([clipped, normalised], tmp_path / "cache")
    assert [clip.is_clipped for clip in store.clips] == [True, False]


def test_more_shards_than_are_mapped_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_FILES_PER_SHARD", 1)
    files = many_files(tmp_path / "audio", 150)
    store = open_store(files, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.json"))) == 150 > cache_module._MAPPED_SHARDS
    for clip in (*range(150), 0, 149):
        samples, _ = soundfile.read(files[clip], dtype="float32")
        np.testing.assert_allclose(store.read(clip), samples, atol=1e-4)


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match="decoded audio cannot be written") as caught:
        open_store(CLEAN[:1], tmp_path / "cache")
    assert "--cache" in caught.value.hint
