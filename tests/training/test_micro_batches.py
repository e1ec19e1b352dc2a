"""A batch in pieces has the gradient of the whole; memory that runs out ends or shrinks a step."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mbs_cli.errors import OutOfMemory
from mbs_cli.training.config import LossConfig, TrainConfig
from mbs_cli.training.fitting import fitting_micro_batch
from mbs_cli.training.step import Learner
from tests.conftest import MbsRunner


@pytest.fixture
def clips() -> tuple[Tensor, Tensor]:
    """Five clips of half a second; the target of one is silence, so that means differ in count."""
    generator = torch.Generator().manual_seed(0)
    target = 0.1 * torch.randn(5, 8000, generator=generator)
    target[3] = 0
    return target + 0.05 * torch.randn(5, 8000, generator=generator), target


def accumulated(config: TrainConfig, clips: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Loss, its parts and all gradients of the same initial model."""
    torch.manual_seed(0)
    learner = Learner(config, torch.device("cpu"))
    loss, parts = learner.accumulate(*clips)
    gradients = {name: p.grad for name, p in learner.model.named_parameters() if p.grad is not None}
    return {"loss": loss, **parts, **gradients}


@pytest.mark.parametrize("size", [1, 2, 4])
def test_pieces_add_up_to_the_gradient_of_the_whole_batch(
    config: TrainConfig, clips: tuple[Tensor, Tensor], size: int
) -> None:
    every_part = LossConfig(si_sdr=1.0, time=1.0, phase=1.0, consistency=1.0, over_attenuation=1.0)
    config = replace(config, precision="float32", loss=every_part)
    whole = accumulated(config, clips)
    pieces = accumulated(replace(config, micro_batch=size), clips)
    assert whole.keys() == pieces.keys()
    assert len(whole) > 20
    for name, value in whole.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(pieces[name], value, rtol=1e-4, atol=1e-4 * scale + 1e-9)


def test_the_longest_clip_of_a_later_step_is_rehearsed_before_the_first(
    config: TrainConfig, clips: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    mixing = replace(config.mixing, segment_seconds=0.5)
    config = replace(config, mixing=mixing, batch_size=8, long_clips=0.1, long_clips_after=1000)
    learner = Learner(config, torch.device("cpu"))
    rehearsed: list[tuple[int, ...]] = []

    def rehearse(noisy: Tensor, target: Tensor, pieces: int = 2) -> None:
        assert noisy.shape == target.shape
        rehearsed.append(tuple(noisy.shape))
        if noisy.numel() > limit:
            raise MemoryError

    monkeypatch.setattr(learner, "rehearse", rehearse)
    limit = 8 * 8000
    assert fitting_micro_batch(learner, clips) == 5
    assert rehearsed == [(1, 8 * 8000), (5, 8000)]
    limit = 7 * 8000  # enough for the first batch
    with pytest.raises(OutOfMemory, match="not even one clip"):
        fitting_micro_batch(learner, clips)


def test_a_step_that_fails_changes_nothing(
    config: TrainConfig, clips: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(0)
    learner = Learner(config, torch.device("cpu"))
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    random_state = torch.get_rng_state()
    with pytest.raises(RuntimeError):
        learner.step(clips[0], clips[1][:, :4000], 0, 0.0)
    assert torch.equal(torch.get_rng_state(), random_state)
    for name, tensor in learner.state().items():
        assert torch.equal(tensor, before[name]), name


# Takes a first step without a limit, so that all libraries are there, then trains with the options
# given and that many bytes more for the process.
_UNDER_A_LIMIT = """
import resource, sys
from dataclasses import replace
from pathlib import Path
import psutil
from mbs_cli.commands.error_text import print_error
from mbs_cli.commands.train_display import describe
from mbs_cli.data.config import MixingConfig
from mbs_cli.errors import OutOfMemory
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.trainer import train

data, cache, out = map(Path, sys.argv[1:4])
config = TrainConfig(data=data, out=out / "first", cache=cache, model="mbs-net-small", steps=1,
                     device="cpu", batch_size=1, workers=0, validation_items=1, precision="float32",
                     mixing=MixingConfig(segment_seconds=1.0))
train(config)
allowed = psutil.Process().memory_info().data + 600 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
config = replace(config, out=out / "second", batch_size=48)
try:
    train(replace(config, **eval(sys.argv[4])), on_event=lambda event: print(describe(event)))
except OutOfMemory as error:
    print_error(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_out_of_memory_names_what_fits_or_shrinks_the_step(
    data: Path, cache: Path, tmp_path: Path, run_mbs: MbsRunner
) -> None:
    def under_a_limit(name: str, options: str) -> subprocess.CompletedProcess[str]:
        places = (data, cache, tmp_path / name)
        return run_mbs(*places, options, script=_UNDER_A_LIMIT, timeout=600)

    failed = under_a_limit("whole", "{}").stderr
    assert "error: out of memory: 48 clips at once need about" in failed
    assert not (tmp_path / "whole" / "second" / "last.safetensors").exists()
    advised = re.search(r"--micro-batch (\d+) fits \(0.\d\d GB, measured\)", failed)
    assert advised is not None
    assert 1 <= int(advised[1]) < 48
    as_advised = under_a_limit("advised", f"{{'micro_batch': {advised[1]}}}")
    assert "step 1: done" in as_advised.stdout, as_advised.stderr
    auto = under_a_limit("auto", "{'auto_batch': True}")
    assert "step 1: done" in auto.stdout, auto.stderr
    sizes = re.findall(r"memory ran out; from here on --micro-batch (\d+)", auto.stdout)
    assert sizes[0] == "24"
    assert len(sizes) == len(set(sizes))
