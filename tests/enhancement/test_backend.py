"""onnxruntime in the place of torch: the same way through the program, the same samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.enhancement.array import enhance_array
from mbs_cli.enhancement.files import enhance_paths
from mbs_cli.enhancement.loading import Backend, load_model
from mbs_cli.enhancement.report import Status
from mbs_cli.enhancement.treatment import ChannelMode, Treatment
from mbs_cli.enhancement.windowed import AHEAD_SECONDS, KEPT_SECONDS, WindowedEnhancer
from mbs_cli.errors import CheckpointError, DeviceError, UsageError
from mbs_cli.models.checkpoint import save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import BsrnnConfig
from mbs_cli.models.onnx.export import export_model
from mbs_cli.models.registry import build_model

LARGEST_DIFFERENCE = 1e-4  # of full scale


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def saved(model: nn.Module, folder: Path) -> Path:
    path = folder / "model.safetensors"
    save_checkpoint(path, model, CheckpointInfo(preset="custom"))
    return path


@torch.inference_mode()
def on_short_windows(model: nn.Module, signal: np.ndarray) -> np.ndarray:
    enhancer = WindowedEnhancer(model, kept_seconds=1.0, ahead_seconds=0.5)
    return np.concatenate([enhancer.feed(signal[None]), enhancer.flush()], axis=1)


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


def test_a_model_that_looks_ahead_carries_its_past_from_window_to_window(
    long_memory, noisy_speech, tmp_path
):
    seconds = KEPT_SECONDS + AHEAD_SECONDS + 1.0  # two windows
    signal = np.resize(noisy_speech, round(16_000 * seconds))
    checkpoint = saved(long_memory, tmp_path)
    by_torch, by_onnx = (
        enhance_array(signal, 16_000, model=model, precision="float32")
        for model in (load_model(checkpoint, backend=backend) for backend in Backend)
    )
    assert np.abs(by_onnx - by_torch).max() < LARGEST_DIFFERENCE


def test_norms_over_a_window_are_those_of_torch(noisy_speech, tmp_path):
    torch.manual_seed(0)
    checkpoint = saved(build_model(BsrnnConfig(features=16, layers=2)), tmp_path)
    by_torch, by_onnx = (
        on_short_windows(load_model(checkpoint, "cpu", backend, "float32"), noisy_speech)
        for backend in Backend
    )
    assert np.abs(by_onnx - by_torch).max() < LARGEST_DIFFERENCE


def test_what_onnxruntime_cannot_be_used_for_says_so(small_checkpoint, both_ways, tmp_path):
    whole = tmp_path / "whole.onnx"
    for checkpoint, form in ((saved(both_ways, tmp_path), "window"), (small_checkpoint, "stream")):
        export_model(checkpoint, whole, "whole")
        with pytest.raises(CheckpointError, match=f"--form {form}"):
            load_model(whole, backend="onnx")
    with pytest.raises(UsageError, match="--backend onnx"):
        load_model(whole)
    with pytest.raises(DeviceError, match="--device cuda"):
        load_model(small_checkpoint, device="cuda", backend="onnx")
    with pytest.raises(UsageError, match="no backend 'tensorrt'"):
        load_model(small_checkpoint, backend="tensorrt")
