"""The scripts of examples/ do what their first line says."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mbs_cli.enhancement.array import enhance_array
from mbs_cli.models.checkpoint import save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import MbsNetConfig
from mbs_cli.models.onnx.export import export_model
from mbs_cli.models.registry import build_model

EXAMPLES = Path(__file__).parents[1] / "examples"
NAME = "en_babble_5db.flac"
CLEAN, NOISY = EXAMPLES / "clean" / NAME, EXAMPLES / "noisy" / NAME


def run(script: str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained model: these tests are about the scripts, not about quality."""
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    config = MbsNetConfig(features=16, layers=1, states=4, decoder_hidden=16)
    save_checkpoint(path, build_model(config), CheckpointInfo(preset="custom"))
    return path


def test_array_and_stream_give_the_same_file(checkpoint: Path, tmp_path: Path) -> None:
    whole, streamed = tmp_path / "whole.wav", tmp_path / "streamed.wav"
    for script, out in (("enhance_array.py", whole), ("stream_blocks.py", streamed)):
        done = run(script, NOISY, out, checkpoint)
        assert done.returncode == 0, done.stderr
        assert str(out) in done.stdout
    noisy, rate_hz = soundfile.read(NOISY)
    first, first_rate_hz = soundfile.read(whole)
    second, second_rate_hz = soundfile.read(streamed)
    assert first_rate_hz == second_rate_hz == rate_hz
    assert first.shape == second.shape == noisy.shape
    assert np.abs(first - second).max() <= 2 / 32768  # two steps of the 16-bit files
    assert np.abs(first).max() > 0.01


def test_simulated_rooms_start_with_the_direct_sound_and_die_away(tmp_path: Path) -> None:
    done = run("simulate_rooms.py", tmp_path / "rir", "3")
    assert done.returncode == 0, done.stderr
    rooms = sorted((tmp_path / "rir").glob("*.flac"))
    assert len(rooms) == 3
    for room in rooms:
        response, rate_hz = soundfile.read(room)
        assert rate_hz == 16000
        assert np.abs(response).argmax() < 0.04 * rate_hz
        energy = np.square(response)
        assert energy[-len(energy) // 4 :].sum() < 0.01 * energy.sum()


def test_crowds_are_as_loud_as_each_other_and_the_same_each_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("clean/anna/a", "clean/ben/b", "noise/doors/slam", "noise/crowds/crowd_0001"):
        path = (tmp_path / "train" / name).with_suffix(".flac")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(40_000), 16_000)
    kept = path.read_bytes()
    crowd = path.with_name("crowd_0000.flac")
    found = []
    for _ in range(2):
        crowd.unlink(missing_ok=True)
        done = run("simulate_crowds.py", tmp_path / "train", "2")
        assert done.returncode == 0, done.stderr
        found.append(crowd.read_bytes())
    assert found[0] == found[1]
    assert path.read_bytes() == kept
    sound, rate_hz = soundfile.read(crowd)
    assert (sound.shape, rate_hz) == ((30 * 16_000,), 16_000)
    assert np.abs(sound).max() < 1.0
    assert 20 * np.log10(sound.std()) == pytest.approx(-26.0, abs=0.1)


def test_every_drone_sounds_like_another_one_and_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("first", "again"):
        done = run("drone_noise.py", tmp_path / folder, "2")
        assert done.returncode == 0, done.stderr
    drones = sorted((tmp_path / "first").glob("*.flac"))
    assert len(drones) == 2
    sounds = [soundfile.read(drone)[0] for drone in drones]
    assert abs(np.corrcoef(*sounds)[0, 1]) < 0.1
    assert all(0.04 < sound.std() < 0.06 for sound in sounds)
    for drone in drones:
        assert drone.read_bytes() == (tmp_path / "again" / drone.name).read_bytes()


def test_a_pair_is_scored() -> None:
    done = run("score_pair.py", CLEAN, NOISY)
    assert done.returncode == 0, done.stderr
    titles = [line.split()[0] for line in done.stdout.splitlines()]
    assert titles == ["PESQ", "STOI", "SI-SDR"]
    assert done.stdout.endswith(" dB\n")


def test_a_pair_without_a_score_says_why(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.flac", np.zeros(soundfile.info(CLEAN).frames), 16000)
    done = run("score_pair.py", CLEAN, tmp_path / "silent.flac")
    assert done.stdout.count("n/a: estimate is silent") == 3


def test_an_exported_model_needs_neither_torch_nor_this_package(
    checkpoint: Path, tmp_path: Path
) -> None:
    exported, out = tmp_path / "model.onnx", tmp_path / "out.wav"
    export_model(checkpoint, exported)
    done = run("stream_onnx.py", exported, NOISY, out)
    assert done.returncode == 0, done.stderr
    noisy, rate_hz = soundfile.read(NOISY)
    expected = enhance_array(noisy, rate_hz, model=checkpoint, precision="float32")
    found, _ = soundfile.read(out)
    assert np.abs(found - expected).max() <= 2 / 32768  # two steps of the 16-bit file
    assert not re.search(
        r"^(import|from) (torch|mbs_cli)", (EXAMPLES / "stream_onnx.py").read_text(), re.MULTILINE
    )
