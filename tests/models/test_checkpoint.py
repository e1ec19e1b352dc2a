"""A checkpoint rebuilds its model exactly, and a file that is not one says why."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mbs_cli.errors import CheckpointError, UsageError
from mbs_cli.models.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from mbs_cli.models.checkpoint_header import METADATA_KEY, read_header
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import PRESETS, BsrnnConfig, MbsNetConfig, ModelConfig
from mbs_cli.models.registry import build_model
from mbs_cli.models.shipped import resolve_model, shipped_models

SMALL: list[ModelConfig] = [
    MbsNetConfig(features=16, layers=1, states=4, decoder_hidden=16),
    BsrnnConfig(features=8, layers=1),
]
INFO = CheckpointInfo(
    preset="custom",
    training={"hours": 1.5, "validation": {"pesq_wb": 1.9}},
    sources=[{"name": "Some Speech", "licence": "CC0"}],
)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, build_model(SMALL[0]), INFO)
    return path


def rewrite(
    path: Path,
    change: Callable[[dict[str, Any]], object] | None = None,
    change_tensors: Callable[[dict[str, torch.Tensor]], object] | None = None,
) -> None:
    """The same file with another description or other tensors."""
    description, tensors = read_header(path).description, load_file(path)
    if change is not None:
        change(description)
    if change_tensors is not None:
        change_tensors(tensors)
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(description)})


@pytest.mark.parametrize("config", SMALL, ids=["mbs-net", "bsrnn"])
def test_a_checkpoint_alone_rebuilds_its_model(tmp_path: Path, config: ModelConfig) -> None:
    model = build_model(config).eval()
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, INFO)
    loaded, info = load_checkpoint(path)
    spectrum = torch.randn(1, 257, 20, 2)
    with torch.inference_mode():
        assert torch.equal(loaded(spectrum), model(spectrum))
    assert loaded.config == config
    assert info == INFO
    assert not loaded.training


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_goes_through_a_file(tmp_path: Path, preset: str) -> None:
    model = build_model(PRESETS[preset])
    save_checkpoint(tmp_path / "m.safetensors", model, CheckpointInfo(preset=preset))
    loaded, info = load_checkpoint(tmp_path / "m.safetensors")
    assert info.preset == preset
    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())


def test_loading_leaves_the_random_numbers_alone(checkpoint: Path) -> None:
    before = torch.random.get_rng_state()
    load_checkpoint(checkpoint)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_same_weights_make_the_same_file(checkpoint: Path, tmp_path: Path) -> None:
    model, info = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "again.safetensors", model, info)
    assert file_sha256(tmp_path / "again.safetensors") == file_sha256(checkpoint)
    assert len(file_sha256(checkpoint)) == 64


def test_half_precision_weights_are_stored_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, build_model(SMALL[1]).half(), INFO)
    assert {entry.dtype for entry in read_header(path).tensors.values()} == {"F32"}


def test_weights_stored_in_half_the_bytes_are_the_rounded_ones(tmp_path: Path) -> None:
    model = build_model(SMALL[1])
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_checkpoint(whole, model, INFO)
    save_checkpoint(half, model, INFO, torch.float16)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    loaded, info = load_checkpoint(half)
    assert info == INFO
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, model.state_dict()[name].half().float())
    next(model.parameters()).data.fill_(1e5)
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        save_checkpoint(half, model, INFO, torch.float16)


def test_saving_leaves_nothing_behind_but_the_file(checkpoint: Path) -> None:
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_failed_saving_keeps_the_old_file(checkpoint: Path) -> None:
    before = checkpoint.read_bytes()
    broken = build_model(SMALL[0])
    next(broken.parameters()).data.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        save_checkpoint(checkpoint, broken, INFO)
    assert checkpoint.read_bytes() == before
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(checkpoint / "below a file", build_model(SMALL[1]), INFO)


class Trap:
    """Unpickling this leaves a file as a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.ckpt"])
def test_a_pickle_is_refused_and_never_opened(tmp_path: Path, name: str, protocol: int) -> None:
    trace, path = tmp_path / "trace", tmp_path / name
    path.write_bytes(pickle.dumps(Trap(trace), protocol))
    with pytest.raises(CheckpointError, match="never unpickles"):
        load_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_archive_is_refused_under_any_name(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="never unpickles"):
        load_checkpoint(path)


@pytest.mark.parametrize("kept", [0, 5, 8, 9, 500, 0.5, 0.999])
def test_a_truncated_file_says_so(checkpoint: Path, kept: float) -> None:
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(CheckpointError, match="truncated"):
        load_checkpoint(checkpoint)


HEADER = b'{"__metadata__":{"mbs":"{}"}}'
ENDLESS = b'{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,4]}}'
BOUNDLESS = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e999]}}'
FOREIGN: dict[str, tuple[bytes, str]] = {
    "text": (b"just a text file, no tensors", "not a safetensors file"),
    "absurd header": (struct.pack("<Q", 1 << 60) + HEADER, "header claims 1152921504606846976"),
    "no JSON": (struct.pack("<Q", 5) + b"{nope", "its header is not valid JSON"),
    "deep JSON": (struct.pack("<Q", 200_001) + b'{"a":' + b"[" * 199_996, "not valid JSON"),
    "bad entry": (struct.pack("<Q", 9) + b'{"a":[1]}', "its entry for 'a' is not valid"),
    "infinite shape": (struct.pack("<Q", len(ENDLESS)) + ENDLESS, "entry for 'a' is not valid"),
    "infinite end": (struct.pack("<Q", len(BOUNDLESS)) + BOUNDLESS, "entry for 'a' is not valid"),
    "no description": (struct.pack("<Q", 2) + b"{}", "no entry 'mbs'"),
    "empty description": (struct.pack("<Q", len(HEADER)) + HEADER, "format is missing"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_file_says_what_it_is_not(tmp_path: Path, case: str) -> None:
    content, message = FOREIGN[case]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_safetensors_of_another_program_are_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not a checkpoint of mbs"):
        load_checkpoint(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.safetensors"):
        with pytest.raises(CheckpointError, match="there is no such checkpoint file"):
            load_checkpoint(path)


def in_config(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda description: description["config"].update(values)


MISFITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "format": (lambda d: d.update(format="other"), "format is 'other', expected 'mbs-checkpoint'"),
    "version": (lambda d: d.update(format_version=9), "format_version is 9, expected 2"),
    "rate": (lambda d: d.update(sample_rate_hz=48000), "sample_rate_hz is 48000, expected 16000"),
    "hop": (lambda d: d["stft"].update(hop=128), "stft.hop is 128, expected 256"),
    "other frames": (in_config(frames="8ms"), "stft.hop is 256, expected 128"),
    "unknown frames": (in_config(frames="4ms"), "frames is '4ms', expected one of 8ms, 16ms"),
    "other bands": (in_config(bands="split"), "tensor band_split.* has shape"),
    "old form": (
        lambda d: d.update(format_version=1),
        "format_version is 1, expected 2 .the file was written by another version of mbs",
    ),
    "stft": (lambda d: d.pop("stft"), "stft is missing"),
    "architecture": (lambda d: d.update(architecture="unet"), "architecture is 'unet', expected"),
    "no config": (lambda d: d.pop("config"), "config is missing"),
    "config list": (lambda d: d.update(config=[]), "config is \\[\\], expected a dict"),
    "unknown field": (
        in_config(width=3),
        "config.width is 3, expected only frames, bands, features",
    ),
    "lost field": (lambda d: d["config"].pop("states"), "config.states is missing"),
    "bad value": (in_config(features="many"), "features is 'many'"),
    "list value": (in_config(branches=["shared"]), "branches is \\['shared'\\]"),
    "absurd size": (in_config(features=10**9), "features is 1000000000"),
    "other size": (in_config(features=32), "tensor band_split.* has shape .*, expected .*32"),
    "more layers": (in_config(layers=2), "tensor .* is missing"),
    "preset": (lambda d: d.update(preset=None), "preset is None, expected a str"),
    "sources": (lambda d: d.update(sources="x"), "sources is 'x', expected a list"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_the_first_field_that_does_not_fit_is_named(checkpoint: Path, case: str) -> None:
    change, message = MISFITS[case]
    rewrite(checkpoint, change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(checkpoint)


def test_a_hostile_config_costs_no_memory(checkpoint: Path) -> None:
    rewrite(checkpoint, in_config(features=1024, layers=32, expand=4, decoder_hidden=4096))
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="has shape"):
        load_checkpoint(checkpoint)
    grown_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kilobytes < 50_000  # the model itself would take over 3 GB


def test_tensors_that_do_not_fit_are_named(checkpoint: Path) -> None:
    original = checkpoint.read_bytes()
    name = max(load_file(checkpoint))
    cases: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
        f"tensor {name} is missing": lambda t: t.pop(name),
        "tensor extra is not part of the model": lambda t: t.update(extra=torch.zeros(1)),
        f"tensor {name} has shape": lambda t: t.update({name: t[name][..., None].contiguous()}),
        f"tensor {name} is F64, expected F32 or F16": lambda t: t.update({name: t[name].double()}),
        f"tensor {name} holds values": lambda t: t[name].fill_(float("inf")),
    }
    for message, change in cases.items():
        checkpoint.write_bytes(original)
        rewrite(checkpoint, change_tensors=change)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(checkpoint)


def test_a_model_is_a_preset_or_a_path(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkpoint.parent)
    assert resolve_model(str(checkpoint)) == checkpoint
    assert resolve_model(checkpoint.name) == Path(checkpoint.name)
    for name in shipped_models():
        assert resolve_model(name).is_file()
    for name in set(PRESETS) - set(shipped_models()):
        with pytest.raises(CheckpointError, match=f"{name} comes without weights"):
            resolve_model(name)
    for path in ("absent.safetensors", "folder/absent"):
        with pytest.raises(CheckpointError, match="no such checkpoint file"):
            resolve_model(path)
    with pytest.raises(UsageError, match="no model 'mbsnet'") as caught:
        resolve_model("mbsnet")
    assert "mbs-net-small" in caught.value.hint
