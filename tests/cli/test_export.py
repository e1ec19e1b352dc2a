"""`mbs export` and `mbs enhance --backend onnx` as processes."""

from __future__ import annotations

import os

import numpy as np
import soundfile

from mbs_cli.enhancement.array import enhance_array
from mbs_cli.models.onnx.export import export_model


def test_what_is_exported_enhances_files(run_mbs, noisy_file, noisy_speech, tmp_path):
    exported = run_mbs("export", "mbs-net", "mbs-net.onnx")
    assert exported.returncode == 0, exported.stderr
    assert "mbs-net.onnx: stream form of mbs-net" in exported.stdout
    assert "largest difference from torch on 3 s of speech" in exported.stdout
    model = ["--model", "mbs-net.onnx", "--backend", "onnx"]
    enhanced = run_mbs("enhance", noisy_file, "-o", "out", "--subtype", "PCM_24", *model)
    assert enhanced.returncode == 0, enhanced.stderr
    by_onnx, _ = soundfile.read(tmp_path / "out" / noisy_file.name)
    by_torch = enhance_array(noisy_speech, 16_000, model="mbs-net", precision="float32")
    assert np.abs(by_torch).max() > 0.1
    assert np.abs(by_onnx - by_torch).max() < 1e-4


def test_onnxruntime_reports_nothing(run_mbs, small_checkpoint, tmp_path):
    cache = tmp_path / "cache"
    export_model(small_checkpoint, tmp_path / "small.onnx")
    script = (
        "from pathlib import Path\n"
        "from mbs_cli.models.onnx.session import OnnxModel\n"
        "OnnxModel(Path('small.onnx'))\n"
    )
    told = {"ORT_DISABLE_TELEMETRY", "CI"}  # what would keep it quiet without us
    environment = {name: value for name, value in os.environ.items() if name not in told}
    environment["XDG_CACHE_HOME"] = str(cache)  # where it would keep what it is to send
    result = run_mbs(script=script, env=environment)
    assert result.returncode == 0, result.stderr
    assert not list(cache.rglob("*onnxruntime*"))


def test_what_cannot_be_exported_ends_with_the_next_step(run_mbs, tmp_path):
    unknown = run_mbs("export", "no-such-model", "model.onnx")
    assert unknown.returncode == 2
    assert "mbs-net-small" in unknown.stderr
    nowhere = run_mbs("export", "mbs-net", "no/such/folder/model.onnx")
    assert nowhere.returncode == 2
    assert "a folder that exists" in nowhere.stderr
    assert not list(tmp_path.iterdir())


def test_a_foreign_onnx_file_is_refused(run_mbs, noisy_file, tmp_path):
    (tmp_path / "foreign.onnx").write_bytes(b"\x08\x08")  # no more than a version of the format
    result = run_mbs(
        "enhance", noisy_file, "-o", "out", "--model", "foreign.onnx", "--backend", "onnx"
    )
    assert result.returncode == 1
    assert "not an ONNX file of mbs" in result.stderr
    assert "mbs export" in result.stderr
    assert not (tmp_path / "out").exists()
