"""Steps of a run with a discriminator; as a script, one of two processes that share them."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from clips import read_clips
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed

from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.audio.stft import stft
from mbs_cli.training.config import LossConfig, TrainConfig
from mbs_cli.training.metric_discriminator import DELAY_STEPS, MetricDiscriminator
from mbs_cli.training.processes import Processes
from mbs_cli.training.spectra import Comparison, compare

CONFIG = LossConfig(metric=1.0, metric_start=0.0, metric_items=2)


def make_metric(
    seed: int = 1, workers: int = 1, processes: Processes | None = None
) -> MetricDiscriminator:
    config = TrainConfig(Path(), Path(), steps=1, batch_size=2, seed=seed, loss=CONFIG)
    return MetricDiscriminator(config, torch.device("cpu"), processes, workers)


def at_step(noisy: Tensor, clean: Tensor, step: int) -> Comparison:
    """Estimates that get better and worse from step to step."""
    noise_left = (step % 5 + 1) / 5
    return compare(
        stft(clean + noise_left * (noisy - clean), FRAMES_16_MS), noisy, clean, FRAMES_16_MS
    )


def run_steps(
    metric: MetricDiscriminator, noisy: Tensor, clean: Tensor, steps: range
) -> list[float]:
    """The terms of some steps."""
    terms = []
    for step in steps:
        metric.begin_step()
        terms.append(metric.term(at_step(noisy, clean, step)).item())
        metric.learn(step)
    return terms


def share(rank: int, folder: Path) -> None:
    """One clip for each of two processes; saved and resumed on the way."""
    distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    noisy, clean = (read_clips(kind)[rank : rank + 1] for kind in ("noisy", "clean"))
    processes = Processes(rank, count=2, agreements=distributed.group.WORLD)
    first, resumed = (make_metric(seed, processes=processes) for seed in (1, 2))
    run_steps(first, noisy, clean, range(DELAY_STEPS + 1))
    save_file(first.state_dict(), folder / f"{rank}.safetensors")
    distributed.barrier()
    resumed.load_state_dict(load_file(folder / "0.safetensors"))
    for metric in (first, resumed):
        run_steps(metric, noisy, clean, range(DELAY_STEPS + 1, DELAY_STEPS + 3))
    first_state, resumed_state = first.state_dict(), resumed.state_dict()
    assert all(torch.equal(value, resumed_state[name]) for name, value in first_state.items())
    first.close()
    resumed.close()
    distributed.destroy_process_group()


if __name__ == "__main__":
    share(int(sys.argv[1]), Path(sys.argv[2]))
