"""BSRNN has the published size and keeps the promises that every model of this package makes."""

from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor, nn

from mbs_cli.audio.parameters import FRAMES_8_MS
from mbs_cli.audio.stft import istft, stft
from mbs_cli.models.bands import SPLIT
from mbs_cli.models.bsrnn import Bsrnn, NormedBandSplit, filter_frames
from mbs_cli.models.config import PRESETS, BsrnnConfig
from mbs_cli.models.registry import build_model
from mbs_cli.models.window import Window

EXAMPLE = Path(__file__).parents[2] / "examples" / "noisy" / "en_babble_5db.flac"


@pytest.fixture(scope="module")
def spectrum() -> Tensor:
    samples = torch.from_numpy(soundfile.read(EXAMPLE, dtype="float32", frames=32000)[0])
    return stft(samples.view(2, 16000), FRAMES_8_MS)


@pytest.fixture(scope="module")
def small() -> Bsrnn:
    torch.manual_seed(0)
    return Bsrnn(BsrnnConfig(features=16, layers=2)).eval()


def parameter_count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_preset_has_the_count_of_the_public_implementation() -> None:
    assert parameter_count(build_model(PRESETS["bsrnn"])) == 2_963_024


def test_band_split_equals_group_norm_and_linear_of_each_band(spectrum: Tensor) -> None:
    split = NormedBandSplit(8)
    nn.init.normal_(split.gain)
    nn.init.normal_(split.shift)
    nn.init.normal_(split.bias)
    features = split(spectrum)
    first = 0
    for band, width in enumerate(SPLIT.widths):
        bins = slice(first, first + width)
        values = spectrum[:, bins].permute(0, 3, 1, 2).flatten(1, 2)  # (B, 2 * width, T)
        gain, shift = split.gain[:, bins].flatten(), split.shift[:, bins].flatten()
        normed = nn.functional.group_norm(values, 1, gain, shift, eps=1e-8)
        expected = normed.transpose(1, 2) @ split.weight[:, bins].flatten(0, 1) + split.bias[band]
        torch.testing.assert_close(features[band], expected, rtol=1e-4, atol=1e-4)
        first += width


def test_filter_equals_the_complex_sum_over_neighbouring_frames(spectrum: Tensor) -> None:
    mask = torch.randn(*spectrum.shape[:3], 3, 2)
    complex_mask = torch.view_as_complex(mask)
    frames = nn.functional.pad(torch.view_as_complex(spectrum), (1, 1))
    expected = sum(
        complex_mask[..., tap] * frames[:, :, tap:][:, :, : mask.shape[2]] for tap in range(3)
    )
    assert isinstance(expected, Tensor)
    actual = torch.view_as_complex(filter_frames(nn.functional.pad(spectrum, (0, 0, 1, 1)), mask))
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("frames", [1, 2, 40])
def test_the_output_has_the_shape_of_the_input(small: Bsrnn, frames: int) -> None:
    spectrum = torch.randn(3, 257, frames, 2)
    estimate = small(spectrum)
    assert estimate.shape == spectrum.shape
    assert estimate.isfinite().all()


@torch.inference_mode()
def test_a_window_of_all_frames_is_the_whole(small: Bsrnn, spectrum: Tensor) -> None:
    frames = spectrum.shape[2]
    estimate, _ = small.look_ahead(spectrum, None, 50, 60)
    torch.testing.assert_close(estimate, small(spectrum)[:, :, :60])
    estimate, _ = small.look_ahead(spectrum, None, frames, frames)
    torch.testing.assert_close(estimate, small(spectrum))


@torch.inference_mode()
def test_a_window_carries_what_runs_forward_in_time(small: Bsrnn, spectrum: Tensor) -> None:
    layer, x = small.layers[0], small.band_split(spectrum)
    sequences = layer.time_norm(x).flatten(0, 1)
    _, after = layer.time_lstm(sequences[:, :7])
    y = layer(x)
    found, state = layer.look_ahead(x.clone(), None, Window(7, 9, 5))
    torch.testing.assert_close(found, y)
    torch.testing.assert_close(state, after)
    _, first = small.look_ahead(spectrum, None, 50, 60)
    torch.testing.assert_close(first.past_frame, spectrum[:, :, 49:50])
    carried, _ = small.look_ahead(spectrum[:, :, 50:], first, 1, 1)
    anew, _ = small.look_ahead(spectrum[:, :, 50:], None, 1, 1)
    assert (carried - anew).abs().max() > 0.01 * anew.abs().max()


@pytest.mark.parametrize("gain", [1e-4, 1e-2, 100.0])
def test_scaling_the_input_scales_the_output(small: Bsrnn, spectrum: Tensor, gain: float) -> None:
    expected = gain * small(spectrum)
    actual = small(gain * spectrum)
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-5 * gain * 10)


def test_items_of_a_batch_do_not_mix(small: Bsrnn, spectrum: Tensor) -> None:
    torch.testing.assert_close(small(spectrum)[1:], small(spectrum[1:]), rtol=1e-4, atol=1e-4)


def test_it_says_that_it_looks_ahead_and_does(small: Bsrnn, spectrum: Tensor) -> None:
    assert not small.is_causal
    changed = spectrum.clone()
    changed[:, :, 100:] *= 0.1
    assert not torch.allclose(small(changed)[:, :, :50], small(spectrum)[:, :, :50])


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_gradients_are_finite_on_silence_and_on_full_scale(level: float) -> None:
    torch.manual_seed(0)
    model = Bsrnn(BsrnnConfig(features=16, layers=2))
    square_wave = level * torch.sign(torch.sin(torch.arange(8000) * 0.1))[None]
    estimate = istft(model(stft(square_wave, FRAMES_8_MS)), 8000, FRAMES_8_MS)
    (estimate - 0.5 * square_wave).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_it_learns_one_example(spectrum: Tensor) -> None:
    torch.manual_seed(0)
    model = Bsrnn(BsrnnConfig(features=16, layers=1))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    target = 0.5 * spectrum[:, :, :20]
    losses = []
    for _ in range(15):
        loss = (model(spectrum[:, :, :20]) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
