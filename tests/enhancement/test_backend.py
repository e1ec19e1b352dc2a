"""onnxruntime in the place of torch: the same way through the program, the same samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch import nn

from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.enhancement.array import enhance_array
from mbs_cli.enhancement.files import enhance_paths
from mbs_cli.enhancement.loading import Backend, load_model
from mbs_cli.enhancement.report import Status
from mbs_cli.enhancement.treatment import ChannelMode, Treatment
from mbs_cli.errors import CheckpointError, DeviceError, UsageError
from mbs_cli.models.checkpoint import save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.onnx.export import export_model

LARGEST_DIFFERENCE = 1e-4  # of full scale


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def both_ways_checkpoint(both_ways: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "both-ways.safetensors"
    save_checkpoint(path, both_ways, CheckpointInfo(preset="custom"))
    return path


def enhanced(source: Path, target: Path, **options: object) -> dict[str, np.ndarray]:
    report = enhance_paths([source], target, output_format=OutputFormat(subtype="FLOAT"), **options)
    assert report.count(Status.DONE) == len(report.files) > 0
    return {file.target.name: soundfile.read(file.target)[0] for file in report.files}


@pytest.mark.parametrize("channels", [ChannelMode.LINKED, ChannelMode.INDEPENDENT])
def test_files_come_out_the_same(
    channels, small_checkpoint, noisy_speech, wide_band_speech, tmp_path
):
    source = tmp_path / "in"
    source.mkdir()
    for place, seconds in enumerate((1.0, 1.1, 4.0)):  # two go together, one alone
        soundfile.write(source / f"{place}.wav", noisy_speech[: round(16_000 * seconds)], 16_000)
    soundfile.write(source / "stereo.wav", wide_band_speech(44_100, channels=2), 44_100)
    options = {"model": small_checkpoint, "treatment": Treatment(channels), "precision": "float32"}
    by_torch = enhanced(source, tmp_path / "torch", **options)
    by_onnx = enhanced(source, tmp_path / "onnx", backend=Backend.ONNX, **options)
    assert len(by_torch) == 4
    for name, samples in by_torch.items():
        assert np.abs(by_onnx[name] - samples).max() < LARGEST_DIFFERENCE


def test_an_exported_file_is_a_model(small_checkpoint, noisy_speech, tmp_path):
    export_model(small_checkpoint, tmp_path / "small.onnx")
    exported = load_model(tmp_path / "small.onnx", backend="onnx")
    by_torch = enhance_array(noisy_speech, 16_000, model=small_checkpoint, precision="float32")
    by_onnx = enhance_array(noisy_speech, 16_000, model=exported)
    assert np.abs(by_onnx - by_torch).max() < LARGEST_DIFFERENCE


def test_a_model_that_looks_ahead_runs_on_windows(both_ways_checkpoint, noisy_speech):
    signal = np.tile(noisy_speech, 3)[: 10 * 16_000]  # all in one window
    by_torch, by_onnx = (
        enhance_array(signal, 16_000, model=model, precision="float32")
        for model in (load_model(both_ways_checkpoint, backend=backend) for backend in Backend)
    )
    assert np.abs(by_onnx - by_torch).max() < LARGEST_DIFFERENCE


def test_what_onnxruntime_cannot_be_used_for_says_so(small_checkpoint, tmp_path):
    whole = tmp_path / "whole.onnx"
    export_model(small_checkpoint, whole, "whole")
    with pytest.raises(CheckpointError, match="--form stream"):
        load_model(whole, backend="onnx")
    with pytest.raises(UsageError, match="--backend onnx"):
        load_model(whole)
    with pytest.raises(DeviceError, match="--device cuda"):
        load_model(small_checkpoint, device="cuda", backend="onnx")
    with pytest.raises(UsageError, match="no backend 'tensorrt'"):
        load_model(small_checkpoint, backend="tensorrt")
