"""What runs for inference on the CPU equals the plain model, which training uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal

import pytest
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.audio.parameters import FRAMES_8_MS
from mbs_cli.audio.stft import stft
from mbs_cli.models.bands import OVERLAPPING, SPLIT, BandTable
from mbs_cli.models.config import PRESETS, ModelConfig
from mbs_cli.models.decoders import BandDecoder, Head
from mbs_cli.models.encoder import BandMixer
from mbs_cli.models.kernels.launch import one_thread, runs_fused
from mbs_cli.models.mamba import MambaLayer
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.registry import build_model

MBS_NET = replace(PRESETS["mbs-net"], features=64, decoder_hidden=80)
FORMS = {
    **PRESETS,
    "short frames": replace(MBS_NET, frames="8ms", bands="split"),
    "lstm": replace(MBS_NET, time_layer="lstm", band_layer="none"),
    "complex": replace(MBS_NET, decoder="complex-3-tap", band_layer_every=2),
    "magnitude": replace(MBS_NET, decoder="magnitude", band_layer="bidirectional-mamba"),
    "dual": replace(MBS_NET, branches="dual", expand=2, states=5),
    "odd sizes": replace(MBS_NET, features=19, states=3, decoder_hidden=21),
}
SMALL_BOTH_WAYS = replace(
    MBS_NET, features=16, layers=2, decoder_hidden=16, time_layer="bidirectional-mamba"
)
BOTH_WAYS = {
    "mlp": SMALL_BOTH_WAYS,
    "complex": replace(SMALL_BOTH_WAYS, decoder="complex-3-tap", band_layer="none"),
    "dual": replace(
        SMALL_BOTH_WAYS, branches="dual", band_layer="bidirectional-mamba", band_layer_every=2
    ),
}
CAUSAL_FORMS = [name for name, config in FORMS.items() if config.is_causal]


def make(config: ModelConfig) -> nn.Module:
    """A model in which nothing that training changes still has its first value."""
    torch.manual_seed(0)
    model = build_model(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model


def speech(frames: int, batch: int = 1) -> Tensor:
    samples, _ = soundfile.read("examples/noisy/en_babble_5db.flac", dtype="float32")
    starts = range(8000, 8000 + 4000 * batch, 4000)
    clips = [torch.from_numpy(samples[start:][: 128 * frames]) for start in starts]
    return stft(torch.stack(clips), FRAMES_8_MS)[:, :, :frames]


def error(found: Tensor, truth: Tensor) -> float:
    """The largest difference, in parts of the largest value."""
    return float((found - truth).abs().max() / truth.abs().max())


@pytest.fixture
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(("frames", "batch"), [(1, 1), (2, 1), (33, 2), (70, 1)])
def test_equal_to_the_forward_pass_of_training(name: str, frames: int, batch: int) -> None:
    model, spectrum = make(FORMS[name]), speech(frames, batch)
    truth = model(spectrum).detach()
    with torch.inference_mode():
        assert runs_fused(spectrum)
        found = model(spectrum)
    assert found.shape == truth.shape
    assert error(found, truth) < 1e-5


@pytest.mark.parametrize("name", CAUSAL_FORMS)
@pytest.mark.parametrize("piece", [1, 5, 70])
@pytest.mark.usefixtures("inference")
def test_pieces_equal_the_whole(name: str, piece: int) -> None:
    model, spectrum = make(FORMS[name]), speech(100, batch=2)
    assert isinstance(model, MbsNet)
    state, pieces = None, []
    for part in spectrum.split(piece, dim=2):
        estimate, state = model.stream(part, state)
        pieces.append(estimate)
    assert error(torch.cat(pieces, dim=2), model(spectrum)) < 1e-5


@pytest.mark.parametrize("name", BOTH_WAYS)
@pytest.mark.parametrize("has_kernels", [True, False])
@pytest.mark.parametrize("kept", [1, 50, 399])
@pytest.mark.usefixtures("inference")
def test_windows_that_hold_all_of_the_future_equal_the_whole(
    name: str, has_kernels: bool, kept: int
) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model, spectrum = make(BOTH_WAYS[name]), speech(400, batch=2)
    with nullcontext() if has_kernels else FlopCounterMode(display=False):
        assert runs_fused(spectrum) == has_kernels
        whole = model(spectrum)
        start, state = model.look_ahead(spectrum, None, kept, kept + 1)
        rest, _ = model.look_ahead(spectrum[:, :, kept:], state, 400 - kept, 400 - kept)
    assert error(start, whole[:, :, : kept + 1]) < 1e-5
    assert error(rest, whole[:, :, kept:]) < 1e-5


@pytest.mark.parametrize("steps", [1, 3, 31, 70])
@pytest.mark.parametrize(("features", "states", "expand"), [(64, 12, 1), (19, 3, 2), (16, 6, 1)])
def test_mamba_layer(steps: int, features: int, states: int, expand: int) -> None:
    torch.manual_seed(steps)
    layer = MambaLayer(features, expand, states, step_rank=2, bidirectional=True).eval()
    for parameter in layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    x = torch.randn(5, steps, features)
    state = (torch.randn(5, 3, expand * features), torch.randn(5, expand * features, states))
    truth, after = layer(x, state)
    with torch.inference_mode():
        found, found_after = layer(x, state)
    for a, b in zip((found, *found_after), (truth, *after), strict=True):
        assert error(a, b.detach()) < 1e-5


@pytest.mark.parametrize("table", [SPLIT, OVERLAPPING])
@pytest.mark.parametrize("values", [1, 2, 6])
@pytest.mark.parametrize(("features", "hidden"), [(64, 80), (18, 7)])
@pytest.mark.usefixtures("inference")
def test_band_decoder(values: int, features: int, hidden: int, table: BandTable) -> None:
    decoder = BandDecoder(features, hidden, values, table)
    decoder.norm_gain.uniform_(-1, 1)
    decoder.norm_shift.normal_()
    decoder.hidden_bias.normal_()
    decoder.bias.normal_()
    x = 3 * torch.randn(table.bands, 2, 7, features)
    assert error(decoder(x), decoder.plain(x)) < 1e-5


@pytest.mark.parametrize("bands", [24, 31])
@pytest.mark.parametrize("frames", [1, 7, 16, 19])
@pytest.mark.usefixtures("inference")
def test_band_mixer(frames: int, bands: int) -> None:
    mixer = BandMixer(33, bands)
    mixer.norm.weight.uniform_(-1, 1)
    mixer.norm.bias.normal_()
    x = 3 * torch.randn(bands, 2, frames, 33)
    assert error(mixer(x), mixer.plain(x)) < 1e-5


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("frames", [1, 40])
@pytest.mark.usefixtures("inference")
def test_head(activation: Literal["sigmoid", "tanh"], frames: int) -> None:
    head, x = Head(70, activation), torch.randn(31, 2, frames, 70)
    truth = x * getattr(torch, activation)(F.linear(x, head.weight, head.bias))
    assert error(head(x), truth) < 1e-5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["mbs-net-small", "mbs-net-bidirectional"])
@pytest.mark.usefixtures("inference")
def test_a_damaged_input_shows(name: str, value: float) -> None:
    spectrum = speech(20)
    spectrum[0, 100, 10, 0] = value
    assert not torch.isfinite(make(FORMS[name])(spectrum)[:, :, 10]).all()


def test_a_counter_of_products_still_sees_them_all() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from mbs_cli.models.scan import flops  # noqa: F401 - before the counter reads the formulas

    model, spectrum = make(MBS_NET), speech(20)
    totals = []
    for has_gradients in (False, True):
        with torch.set_grad_enabled(has_gradients), FlopCounterMode(display=False) as counter:
            model(spectrum)
        totals.append(counter.get_total_flops())
    assert totals[0] == totals[1] > 1e6


def test_gradients_stay_what_they_are_after_inference() -> None:
    model, spectrum = make(MBS_NET), speech(20)
    with torch.no_grad():
        model(spectrum)
    model(spectrum).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_one_thread_gives_back_what_it_took() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
