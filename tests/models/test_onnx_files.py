"""An exported file says what it is and is checked; a file that is not one of ours says why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from mbs_cli import __version__
from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.audio.stft import stft
from mbs_cli.errors import CheckpointError, UsageError
from mbs_cli.models.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import MbsNetConfig
from mbs_cli.models.onnx import export as exporting
from mbs_cli.models.onnx.check import compare
from mbs_cli.models.onnx.export import export_model, load_exported
from mbs_cli.models.onnx.session import OnnxModel
from mbs_cli.models.onnx.signature import Form
from mbs_cli.models.registry import build_model

INFO = CheckpointInfo(preset="custom", sources=[{"name": "Some Speech", "licence": "CC0"}])


def save(path: Path, seed: int, **config: Any) -> Path:
    torch.manual_seed(seed)
    model = build_model(MbsNetConfig(features=16, layers=1, decoder_hidden=16, **config))
    save_checkpoint(path, model, INFO)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model") / "model.safetensors", seed=0)


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "both-ways.safetensors"
    return save(path, seed=0, time_layer="bidirectional-mamba")


@pytest.fixture(scope="module")
def content(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_model(checkpoint, target)
    return target.read_bytes()


@pytest.fixture
def exported(content: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    return path


def rewrite(path: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    proto = onnx.load(path)
    change(proto)
    path.write_bytes(proto.SerializeToString())


def redescribe(path: Path, **changes: Any) -> None:
    def change(proto: onnx.ModelProto) -> None:
        values = {**json.loads(proto.metadata_props[0].value), **changes}
        proto.metadata_props[0].value = json.dumps(values)

    rewrite(path, change)


def test_a_file_says_what_it_holds_and_runs_as_the_model_does(
    checkpoint: Path, exported: Path, noisy_speech: np.ndarray
) -> None:
    model, _ = load_checkpoint(checkpoint)
    runner = OnnxModel(exported)
    assert runner.info.form is Form.STREAM
    assert runner.info.config == model.config
    assert runner.info.checkpoint == INFO
    assert runner.info.weights_sha256 == file_sha256(checkpoint)
    assert runner.info.weights_licence is None
    spectrum = stft(torch.from_numpy(noisy_speech[None, :30_000]), FRAMES_16_MS)
    with torch.inference_mode():
        torch.testing.assert_close(runner(spectrum), model(spectrum), rtol=0, atol=1e-4)


@pytest.mark.parametrize("source", ["checkpoint", "both_ways"])
def test_a_description_explains_every_input_and_output(
    source: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    export_model(request.getfixturevalue(source), tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    description = json.loads(proto.metadata_props[0].value)
    for name, values in (("inputs", proto.graph.input), ("outputs", proto.graph.output)):
        assert list(description[name]) == [value.name for value in values]
        for key, entry in description[name].items():
            assert entry["meaning"]
            assert entry["shape"] or key == "kept"
    assert description["latency_samples"] == 512
    assert description["model"]["stft"] == {"n_fft": 512, "hop": 256, "window": "root-hann"}


def test_the_comparison_notices_other_weights(
    checkpoint: Path, exported: Path, tmp_path: Path
) -> None:
    same, _ = load_checkpoint(checkpoint)
    other, _ = load_checkpoint(save(tmp_path / "other.safetensors", seed=1))
    assert compare(same, OnnxModel(exported))[0] < 1e-6
    assert compare(other, OnnxModel(exported))[0] > 1e-3


def test_a_file_that_differs_from_torch_is_not_kept(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LARGEST_DIFFERENCE", 1e-12)
    target = tmp_path / "model.onnx"
    target.write_bytes(b"an older file")
    with pytest.raises(CheckpointError, match="differs from torch"):
        export_model(checkpoint, target)
    assert target.read_bytes() == b"an older file"
    assert list(tmp_path.iterdir()) == [target]


def test_a_model_that_looks_ahead_is_exported_for_windows(both_ways: Path, tmp_path: Path) -> None:
    report = export_model(both_ways, tmp_path / "m.onnx")
    assert report.form is Form.WINDOW
    assert report.largest_difference < 1e-6
    assert export_model(both_ways, tmp_path / "m.onnx", "whole").form is Form.WHOLE
    with pytest.raises(UsageError, match="looks both ways"):
        export_model(both_ways, tmp_path / "m.onnx", Form.STREAM)


def test_a_causal_model_is_not_exported_for_windows(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs no windows"):
        export_model(checkpoint, tmp_path / "m.onnx", Form.WINDOW)


def test_the_comparison_notices_a_state_that_is_not_carried(
    both_ways: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = load_checkpoint(both_ways)
    export_model(both_ways, tmp_path / "m.onnx")
    exported = OnnxModel(tmp_path / "m.onnx")
    look_ahead = exported.look_ahead
    monkeypatch.setattr(
        exported, "look_ahead", lambda window, _, *counts: look_ahead(window, None, *counts)
    )
    assert compare(model, exported)[0] > 1e-3


@pytest.mark.parametrize(
    ("target", "reason"), [("model.bin", "ends in .onnx"), ("file/model.onnx", "cannot be written")]
)
def test_a_target_that_cannot_be_says_so(
    checkpoint: Path, tmp_path: Path, target: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((UsageError, CheckpointError), match=reason):
        export_model(checkpoint, tmp_path / target)


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    checkpoint: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=rf"pip install {name}\)"):
        export_model(checkpoint, tmp_path / "model.onnx")


def add_metadata_of_others(proto: onnx.ModelProto) -> None:
    proto.metadata_props[0].key = "author"


def add_foreign_operator(proto: onnx.ModelProto) -> None:
    proto.graph.node.append(onnx.helper.make_node("Secret", ["spectrum"], ["x"], domain="others"))


def hide_operator_in_a_loop(proto: onnx.ModelProto) -> None:
    scan = next(node for node in proto.graph.node if node.op_type == "Scan")
    body = next(attribute.g for attribute in scan.attribute if attribute.name == "body")
    body.node.append(onnx.helper.make_node("Loop", [], []))


def keep_weights_elsewhere(proto: onnx.ModelProto) -> None:
    tensor = proto.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def rename_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[1].name = "other"


def widen_output(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 258


def take_doubles(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


def use_another_opset(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version += 1


def add_function(proto: onnx.ModelProto) -> None:
    proto.functions.add(name="Mul")


def lose_weights(proto: onnx.ModelProto) -> None:
    del proto.graph.initializer[5]


def swap_weights(proto: onnx.ModelProto) -> None:
    weight = max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weight.dims[:] = [weight.dims[0], weight.dims[2], weight.dims[1]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (add_metadata_of_others, "not an ONNX file of mbs"),
        (add_foreign_operator, "operator 'Secret'"),
        (hide_operator_in_a_loop, "operator 'Loop'"),
        (keep_weights_elsewhere, "weights in another file"),
        (rename_input, "its inputs are not"),
        (widen_output, "its outputs are not"),
        (take_doubles, "its inputs are not"),
        (use_another_opset, "opset 18"),
        (add_function, "standard operators"),
        (lose_weights, "is damaged"),
        (swap_weights, "is damaged"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    exported: Path, change: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    rewrite(exported, change)
    with pytest.raises(CheckpointError, match=reason):
        OnnxModel(exported)


def keep_a_fraction(proto: onnx.ModelProto) -> None:
    proto.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def keep_several(proto: onnx.ModelProto) -> None:
    proto.graph.input[1].type.tensor_type.shape.dim.add(dim_value=2)


def take_another_number(proto: onnx.ModelProto) -> None:
    proto.graph.input.add().CopyFrom(proto.graph.input[1])
    proto.graph.input[-1].name = "other"


def lose_a_state(proto: onnx.ModelProto) -> None:
    del proto.graph.output[1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (keep_a_fraction, "its inputs are not"),
        (keep_several, "its inputs are not"),
        (take_another_number, "its inputs are not"),
        (rename_input, "its inputs are not"),
        (lose_a_state, "its outputs are not"),
        (hide_operator_in_a_loop, "operator 'Loop'"),
    ],
)
def test_a_file_for_windows_of_another_kind_is_refused(
    both_ways: Path, tmp_path: Path, change: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    path = tmp_path / "model.onnx"
    export_model(both_ways, path)
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=reason):
        OnnxModel(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "other"}, "expected .*mbs-onnx"),
        ({"format_version": 2}, "expected .*1"),
        ({"form": "sideways"}, "description is not valid"),
        ({"weights_sha256": 3}, "description is not valid"),
        ({"weights_licence": 0}, "description is not valid"),
        ({"model": []}, "description is not valid"),
        ({"model": {"format": "mbs-checkpoint"}}, "format_version is missing"),
        ({"form": "whole"}, "its inputs are not"),
        ({"form": "window"}, "no window form"),
    ],
)
def test_a_description_that_is_not_true_is_refused(
    exported: Path, changes: dict[str, Any], reason: str
) -> None:
    redescribe(exported, **changes)
    with pytest.raises(CheckpointError, match=reason):
        OnnxModel(exported)


def test_what_is_no_onnx_file_at_all_is_refused(exported: Path, tmp_path: Path) -> None:
    whole = exported.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no such thing", whole[::-1]):
        exported.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="ONNX"):
            OnnxModel(exported)
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(CheckpointError, match="cannot be read"):
            OnnxModel(path)


def test_a_cached_export_is_made_once_and_made_anew_if_it_is_damaged(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load_exported(checkpoint)
    (cached,) = tmp_path.rglob("*.onnx")
    made = cached.stat().st_mtime_ns
    load_exported(checkpoint)
    assert cached.stat().st_mtime_ns == made
    whole = cached.read_bytes()
    cached.write_bytes(whole[:1000])
    load_exported(checkpoint)
    assert cached.read_bytes() == whole


def test_a_file_that_an_earlier_version_left_in_the_cache_is_not_taken(
    both_ways: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    older = tmp_path / "mbs" / "onnx" / f"{file_sha256(both_ways)[:24]}-{__version__}.onnx"
    older.parent.mkdir(parents=True)
    export_model(both_ways, older, "whole")
    assert load_exported(both_ways).info.form is Form.WINDOW
