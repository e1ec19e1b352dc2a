"""The ONNX graphs compute what the models do in torch, in every form that a model can have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
import torch
from torch import Tensor

from mbs_cli.audio.parameters import FRAMES_8_MS
from mbs_cli.audio.stft import stft
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import BsrnnConfig, MbsNetConfig, ModelConfig
from mbs_cli.models.onnx.build import build_onnx
from mbs_cli.models.onnx.description import OnnxInfo
from mbs_cli.models.onnx.graph import IR_VERSION, OPSET, Graph
from mbs_cli.models.onnx.session import open_session
from mbs_cli.models.onnx.signature import (
    Form,
    endless_form,
    input_shapes,
    output_shapes,
    state_shapes,
)
from mbs_cli.models.registry import build_model

SMALL = MbsNetConfig(features=16, layers=2, states=3, decoder_hidden=16)
BOTH_WAYS = replace(SMALL, time_layer="bidirectional-mamba")
CONFIGS: dict[str, ModelConfig] = {
    "mamba": SMALL,
    "lstm": replace(SMALL, time_layer="lstm", band_layer="none"),
    "complex": replace(SMALL, decoder="complex-3-tap", band_layer_every=2),
    "magnitude": replace(SMALL, decoder="magnitude"),
    "dual": replace(SMALL, branches="dual", expand=2),
    "bands": replace(SMALL, band_layer="bidirectional-mamba"),
    "bidirectional": replace(BOTH_WAYS, band_layer="bidirectional-mamba"),
    "bidirectional-complex": replace(BOTH_WAYS, decoder="complex-3-tap"),
    "bidirectional-dual": replace(BOTH_WAYS, branches="dual"),
    "bsrnn": BsrnnConfig(features=16, layers=2),
}
CAUSAL = [name for name, config in CONFIGS.items() if config.is_causal]
LOOKING_AHEAD = [name for name in CONFIGS if name not in CAUSAL]


def make(name: str) -> torch.nn.Module:
    """A model none of whose weights is 0 or 1 by chance of its initialisation."""
    torch.manual_seed(0)
    model = build_model(CONFIGS[name]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def export(model: torch.nn.Module, form: Form) -> onnx.ModelProto:
    return build_onnx(model, OnnxInfo(form, model.config, CheckpointInfo("custom"), "0" * 64))


def session(proto: onnx.ModelProto) -> Any:
    return open_session(proto.SerializeToString())


def two_signals() -> Tensor:
    """Spectra (2, F, 64, 2) of half a second of speech each, the second one quieter."""
    samples, _ = soundfile.read("examples/noisy/en_babble_5db.flac", dtype="float32")
    pair = np.stack([samples[16_000:24_064], 0.1 * samples[40_000:48_064]])
    return stft(torch.from_numpy(pair), FRAMES_8_MS)


def frames_first(spectrum: Tensor) -> np.ndarray:
    return spectrum.permute(2, 0, 1, 3).numpy()


def silence(config: ModelConfig) -> dict[str, np.ndarray]:
    return {
        name: np.zeros([2 if length == "signals" else length for length in shape], np.float32)
        for name, shape in state_shapes(config).items()
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_the_whole_form_equals_torch(name: str) -> None:
    model, spectrum = make(name), two_signals()
    (estimate,) = session(export(model, Form.WHOLE)).run(None, {"spectrum": frames_first(spectrum)})
    with torch.inference_mode():
        expected = frames_first(model(spectrum))
    np.testing.assert_allclose(estimate, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", CAUSAL)
def test_a_stream_in_pieces_equals_torch(name: str) -> None:
    model, spectrum = make(name), two_signals()
    frames, state = frames_first(spectrum), silence(model.config)
    runner = session(export(model, Form.STREAM))
    estimates = []
    for piece in np.split(frames, [1, 2, 3, 20]):
        estimate, *after = runner.run(None, {"spectrum": piece, **state})
        estimates.append(estimate)
        assert [value.shape for value in after] == [value.shape for value in state.values()]
        state = dict(zip(state, after, strict=True))
    with torch.inference_mode():
        expected = frames_first(model(spectrum))
    found = np.concatenate(estimates)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", LOOKING_AHEAD)
def test_windows_equal_those_of_torch(name: str) -> None:
    model, spectrum = make(name), two_signals()
    state, torch_state = silence(model.config), None
    runner = session(export(model, Form.WINDOW))
    start = 0
    for kept, ahead in ((20, 11), (1, 30), (2, 0), (30, 11), (11, 0)):  # all that there is at last
        window = spectrum[:, :, start : start + kept + ahead]
        inputs = {"spectrum": frames_first(window), "kept": np.array(kept)}
        estimate, *after = runner.run(None, {**inputs, **state})
        with torch.inference_mode():
            shown = window.shape[2]
            expected, torch_state = model.look_ahead(window, torch_state, kept, shown)
        largest = np.abs(frames_first(expected)).max()
        np.testing.assert_allclose(estimate, frames_first(expected), rtol=0, atol=2e-5 * largest)
        assert [value.shape for value in after] == [value.shape for value in state.values()]
        state = dict(zip(state, after, strict=True))
        start += kept
    assert start == spectrum.shape[2]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_state_matters(name: str) -> None:
    model, spectrum = make(name), two_signals()
    frames, state = frames_first(spectrum), silence(model.config)
    form = endless_form(model.config)
    runner = session(export(model, form))

    def run(piece: np.ndarray, state: dict[str, np.ndarray]) -> list[np.ndarray]:
        kept = {"kept": np.array(len(piece))} if form is Form.WINDOW else {}
        return runner.run(None, {"spectrum": piece, **kept, **state})

    _, *after = run(frames[:30], state)
    known = dict(zip(state, after, strict=True))
    expected = run(frames[30:32], known)[0]
    for forgotten, zeros in state.items():
        estimate = run(frames[30:32], {**known, forgotten: zeros})[0]
        assert np.abs(estimate - expected).max() > 1e-6, forgotten


@pytest.mark.parametrize("name", CONFIGS)
def test_files_follow_the_standard_and_name_what_they_take_and_give(name: str) -> None:
    model = make(name)
    for form in (endless_form(model.config), Form.WHOLE):
        proto = export(model, form)
        onnx.checker.check_model(proto, full_check=True)
        assert [value.name for value in proto.graph.input] == [*input_shapes(model.config, form)]
        assert [value.name for value in proto.graph.output] == [*output_shapes(model.config, form)]


def test_softplus_is_accurate_where_it_is_tiny_and_where_it_is_large() -> None:
    x = np.linspace(-60, 60, 4_001, dtype=np.float32)
    graph = Graph()
    graph.output(graph.input("x", ["n"]).softplus(), ["n"], "y")
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    proto = onnx.helper.make_model(graph.proto("g"), opset_imports=opsets, ir_version=IR_VERSION)
    (y,) = session(proto).run(None, {"x": x})
    expected = np.logaddexp(0, x.astype(np.float64))
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-7)
