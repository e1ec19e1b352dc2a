"""Products in bfloat16 are inaudible, and are taken only where the CPU has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from torch import Tensor, nn

from mbs_cli.audio.parameters import FRAMES_8_MS
from mbs_cli.audio.stft import stft
from mbs_cli.enhancement.files import enhance_file
from mbs_cli.enhancement.loading import load_model
from mbs_cli.errors import DeviceError
from mbs_cli.models.kernels.lanes import HAS_BFLOAT16
from mbs_cli.models.mbsnet import MbsNet
from mbs_cli.models.packing import set_precision
from mbs_cli.models.precision import (
    Precision,
    emulates_bfloat16,
    resolve_precision,
    training_dtype,
)

needs_bfloat16 = pytest.mark.skipif(not HAS_BFLOAT16, reason="a CPU without AVX512-BF16")
AUDIBLE_DB = -45.0
CPU = torch.device("cpu")


@pytest.fixture
def shipped() -> Iterator[nn.Module]:
    """The weights that come with the package, in inference."""
    with torch.inference_mode():
        yield load_model("mbs-net", "cpu", precision=Precision.FLOAT32)


def noisy_spectrum(name: str, frames: int) -> Tensor:
    samples, _ = soundfile.read(f"examples/noisy/{name}.flac", dtype="float32")
    spectrum = stft(torch.from_numpy(samples[16_000:][: 128 * frames])[None], FRAMES_8_MS)
    return spectrum[:, :, :frames]


def level_db(difference: Tensor, whole: Tensor) -> float:
    return float(10 * torch.log10(difference.square().sum() / whole.square().sum()))


@needs_bfloat16
@pytest.mark.parametrize("name", ["en_babble_5db", "fr_car_0db"])
def test_bfloat16_is_inaudible(name: str, shipped: nn.Module) -> None:
    spectrum = noisy_spectrum(name, 250)
    exact = shipped(spectrum)
    set_precision(shipped, torch.bfloat16)
    rounded = shipped(spectrum)
    assert -120.0 < level_db(rounded - exact, exact) < AUDIBLE_DB


@needs_bfloat16
@pytest.mark.parametrize("frames", [1, 7, 40])
def test_pieces_equal_the_whole_in_bfloat16(frames: int, shipped: nn.Module) -> None:
    assert isinstance(shipped, MbsNet)
    set_precision(shipped, torch.bfloat16)
    spectrum = noisy_spectrum("en_babble_5db", 80)
    state, pieces = None, []
    for piece in spectrum.split(frames, dim=2):
        estimate, state = shipped.stream(piece, state)
        pieces.append(estimate)
    whole = shipped(spectrum)
    assert (torch.cat(pieces, dim=2) - whole).abs().max() < 1e-4 * whole.abs().max()


@needs_bfloat16
def test_scaling_the_input_scales_the_output_in_bfloat16(shipped: nn.Module) -> None:
    set_precision(shipped, torch.bfloat16)
    spectrum = noisy_spectrum("en_babble_5db", 80)
    loud = shipped(spectrum)
    quiet = shipped(0.125 * spectrum)
    assert level_db(8 * quiet - loud, loud) < AUDIBLE_DB


def test_the_number_of_threads_changes_nothing(shipped: nn.Module) -> None:
    spectrum = noisy_spectrum("en_babble_5db", 40)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(shipped(spectrum))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


def test_a_change_of_the_weights_is_seen(small_model: nn.Module) -> None:
    spectrum = noisy_spectrum("en_babble_5db", 20)
    weight = next(w for name, w in small_model.named_parameters() if "in_proj" in name)
    with torch.no_grad():
        before = small_model(spectrum)
        weight.mul_(2)
        changed = small_model(spectrum)
        weight.div_(2)
        again = small_model(spectrum)
    assert torch.equal(before, again)
    assert not torch.equal(before, changed)


def test_auto_takes_what_the_cpu_has() -> None:
    expected = torch.bfloat16 if HAS_BFLOAT16 else torch.float32
    assert resolve_precision("auto", CPU) == expected
    assert resolve_precision("float32", CPU) == torch.float32
    assert resolve_precision("auto", torch.device("cuda")) == torch.float32


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(DeviceError, match=r"bfloat16.*cuda.*AVX512-BF16.*--precision auto"):
        resolve_precision("bfloat16", torch.device("cuda"))
    with pytest.raises(DeviceError, match=r"float16.*auto, float32, bfloat16"):
        resolve_precision("float16", CPU)


@needs_bfloat16
def test_files_of_both_precisions_sound_the_same(noisy_file: Path, tmp_path: Path) -> None:
    heard = []
    for precision in ("float32", "bfloat16"):
        target = tmp_path / f"{precision}.flac"
        enhance_file(noisy_file, target, model="mbs-net", device="cpu", precision=precision)
        heard.append(torch.from_numpy(soundfile.read(target)[0]))
    assert level_db(heard[1] - heard[0], heard[0]) < AUDIBLE_DB


def test_the_command_names_the_precisions(run_mbs: Callable[..., Any], noisy_file: Path) -> None:
    done = run_mbs("enhance", noisy_file, "-o", "out", "--precision", "float16")
    assert done.returncode == 2
    assert "'auto', 'float32', 'bfloat16'" in done.stderr


def test_training_takes_bfloat16_only_where_the_cpu_has_it() -> None:
    assert training_dtype("auto", CPU) is (torch.bfloat16 if HAS_BFLOAT16 else torch.float32)
    assert not emulates_bfloat16(training_dtype("auto", CPU), CPU)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_training_takes_what_is_asked_for(name: str) -> None:
    assert training_dtype(name, CPU) is getattr(torch, name)
    assert emulates_bfloat16(training_dtype(name, CPU), CPU) == (
        name == "bfloat16" and not HAS_BFLOAT16
    )
