"""Properties of MBS-Net in all its forms."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor

from mbs_cli.audio.parameters import BINS, FRAMES_16_MS, N_FFT
from mbs_cli.audio.stft import istft, stft
from mbs_cli.errors import UsageError
from mbs_cli.models.bands import BAND_TABLES, OVERLAPPING, SPLIT
from mbs_cli.models.config import PRESETS, MbsNetConfig
from mbs_cli.models.mamba import Mamba
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.registry import build_model

SMALL = MbsNetConfig(features=16, layers=2, states=3, decoder_hidden=16)
FORMS = [
    SMALL,
    replace(SMALL, time_layer="bidirectional-mamba", band_layer="bidirectional-mamba"),
    replace(SMALL, time_layer="lstm", band_layer="none"),
    replace(SMALL, decoder="complex-3-tap", band_layer_every=2),
    replace(SMALL, decoder="magnitude"),
    replace(SMALL, branches="dual", expand=2),
    replace(SMALL, frames="8ms", bands="split"),
]
CAUSAL_FORMS = [config for config in FORMS if config.is_causal]


def parameter_count(name: str) -> int:
    return sum(parameter.numel() for parameter in build_model(PRESETS[name]).parameters())


def speech(seconds: float = 1.0) -> Tensor:
    samples, _ = soundfile.read("examples/noisy/en_babble_5db.flac", dtype="float32")
    return torch.from_numpy(samples[8000 : 8000 + round(seconds * 16000)])[None]


def make(config: MbsNetConfig) -> MbsNet:
    torch.manual_seed(0)
    return MbsNet(config)


def test_every_bin_is_decided_by_one_band_or_shared_by_two_neighbours() -> None:
    assert (SPLIT.bands, SPLIT.places) == (31, BINS)
    assert OVERLAPPING.bands == 24
    for table in BAND_TABLES.values():
        for frequency in range(BINS):
            shares = {k: table.share(k, frequency) for k in range(table.bands)}
            holders = [band for band, share in shares.items() if share > 0]
            assert sum(shares.values()) == pytest.approx(1.0)
            assert all(frequency in table.spans[band] for band in holders)
            assert len(holders) == 1 or (table.overlap and holders[1] == holders[0] + 1)


def test_shares_of_overlapping_bands_change_little_from_bin_to_bin() -> None:
    for band in range(OVERLAPPING.bands):
        shares = [OVERLAPPING.share(band, frequency) for frequency in range(BINS)]
        steps = [abs(after - before) for before, after in pairwise(shares)]
        assert max(steps) <= 1 / min(OVERLAPPING.own_widths)
        assert max(steps[40:]) < 0.13  # above 1.2 kHz, where bands are wide


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("mbs-net", 2.3e6 * 0.98, 2.3e6 * 1.02),
        ("mbs-net-small", 0.45e6, 0.55e6),
        ("mbs-net-bidirectional", 460_967, 460_967),
        ("mbs-net-original", 7.33e6 * 0.99, 7.33e6 * 1.01),
        ("bsrnn", 2_963_024, 2_963_024),
    ],
)
def test_parameter_counts_are_as_published(name: str, least: float, most: float) -> None:
    assert least <= parameter_count(name) <= most


@pytest.mark.parametrize("config", FORMS)
@pytest.mark.parametrize("frames", [1, 2, 40])
def test_the_estimate_has_the_shape_of_the_input(config: MbsNetConfig, frames: int) -> None:
    spectrum = torch.randn(2, BINS, frames, 2)
    assert make(config)(spectrum).shape == spectrum.shape


@pytest.mark.parametrize("config", CAUSAL_FORMS)
def test_a_later_sample_changes_nothing_earlier_than_one_window(config: MbsNetConfig) -> None:
    model = make(config)
    samples = speech()
    changed = samples.clone()
    changed[:, 9000:] = 0.5 * torch.randn(changed[:, 9000:].shape)
    with torch.no_grad():
        before, after = (
            istft(model(stft(x, FRAMES_16_MS)), x.shape[1], FRAMES_16_MS)
            for x in (samples, changed)
        )
    assert torch.equal(before[:, : 9000 - N_FFT], after[:, : 9000 - N_FFT])
    assert not torch.allclose(before[:, 9000:], after[:, 9000:])


def test_a_bidirectional_model_does_look_ahead_and_says_that_it_cannot_stream() -> None:
    model = make(FORMS[1])
    spectrum = stft(speech(), FRAMES_16_MS)
    changed = spectrum.clone()
    changed[:, :, -1] += 1.0
    with torch.no_grad():
        assert not torch.equal(model(spectrum)[:, :, 0], model(changed)[:, :, 0])
    with pytest.raises(UsageError, match="both ways"):
        model.stream(spectrum)


@pytest.mark.parametrize("config", CAUSAL_FORMS)
@pytest.mark.parametrize("piece", [1, 7, 64])
def test_frames_in_pieces_equal_the_whole(config: MbsNetConfig, piece: int) -> None:
    model = make(config)
    spectrum = stft(speech(), FRAMES_16_MS)
    with torch.no_grad():
        whole = model(spectrum)
        state, pieces = None, []
        for part in spectrum.split(piece, dim=2):
            estimate, state = model.stream(part, state)
            pieces.append(estimate)
    torch.testing.assert_close(torch.cat(pieces, dim=2), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", FORMS)
@pytest.mark.parametrize("gain", [1e-3, 30.0])
def test_scaling_the_input_scales_the_output(config: MbsNetConfig, gain: float) -> None:
    model = make(config)
    spectrum = stft(speech(), FRAMES_16_MS)
    with torch.no_grad():
        torch.testing.assert_close(
            model(spectrum * gain) / gain, model(spectrum), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("config", FORMS)
@pytest.mark.parametrize("kind", ["silence", "full scale", "one click", "faint"])
def test_output_and_gradients_stay_finite(config: MbsNetConfig, kind: str) -> None:
    samples = {
        "silence": torch.zeros(1, 8000),
        "full scale": torch.sign(torch.randn(1, 8000)),
        "one click": F.one_hot(torch.tensor([4000]), 8000).float(),
        "faint": 1e-7 * torch.randn(1, 8000),
    }[kind]
    model = make(config)
    spectrum = stft(samples, FRAMES_16_MS).requires_grad_()
    estimate = model(spectrum)
    estimate.square().sum().backward()
    assert torch.isfinite(estimate).all()
    assert spectrum.grad is not None
    assert torch.isfinite(spectrum.grad).all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


def test_silence_stays_silence() -> None:
    with torch.no_grad():
        assert not make(SMALL)(stft(torch.zeros(1, 4000), FRAMES_16_MS)).any()


@pytest.mark.parametrize("name", ["mbs-net", "mbs-net-bidirectional"])
def test_step_sizes_start_between_one_and_a_hundred_thousandths(name: str) -> None:
    blocks = [m for m in build_model(PRESETS[name]).modules() if isinstance(m, Mamba)]
    assert blocks
    for block in blocks:
        step = F.softplus(block.dt_proj.bias)
        assert step.min() >= 0.000999
        assert step.max() <= 0.1001
        assert step.max() / step.min() > 10
        decay = torch.exp(block.A_log)
        expected = torch.arange(1.0, block.states + 1)
        torch.testing.assert_close(decay, expected.expand_as(decay))


def test_a_config_that_makes_no_sense_names_its_field() -> None:
    with pytest.raises(UsageError, match="features is 0"):
        MbsNetConfig(features=0)
    with pytest.raises(UsageError, match="time_layer is 'gru'"):
        MbsNetConfig(time_layer="gru")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="two branches"):
        MbsNetConfig(branches="dual", decoder="magnitude")
