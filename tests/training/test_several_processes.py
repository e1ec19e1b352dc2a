"""Two processes under torchrun train like one, end when one dies, and go on after a restart."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
import torch
from safetensors.torch import load_file

from mbs_cli.options import command_line
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.processes import Processes
from mbs_cli.training.step import Learner
from mbs_cli.training.trainer import train

TORCHRUN = f"{sys.executable} -m torch.distributed.run --standalone --nproc-per-node 2"


def start(config: TrainConfig, restarts: int = 0) -> subprocess.Popen[str]:
    """That run with two processes on this machine."""
    command = f"{TORCHRUN} --max-restarts {restarts} -m mbs_cli train"
    return subprocess.Popen(
        shlex.split(command_line(command, config)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("clips", [8, 11])
def test_the_processes_share_a_batch_without_overlap(count: int, clips: int) -> None:
    batch = range(100, 100 + clips)
    parts = [Processes(rank, count).share(batch) for rank in range(count)]
    assert [number for part in parts for number in part] == list(batch)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.slow
def test_two_processes_reach_the_weights_of_one(config: TrainConfig) -> None:
    config = replace(config, batch_size=5, precision="float32")
    one = replace(config, out=config.out / "one")
    two = replace(config, out=config.out / "two", micro_batch=2)
    process = start(two)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert errors.count("step 6: done") == 1  # told by the first process only
    assert output.count("trained for 6 steps") == 1
    train(one)
    torch.manual_seed(config.seed)
    untrained = Learner(config, torch.device("cpu")).state()
    expected, found = load_file(one.run_state), load_file(two.run_state)
    names = [name for name in expected if name.startswith("model/")]
    change = torch.cat([(expected[name] - untrained[name]).flatten() for name in names]).norm()
    difference = torch.cat([(expected[name] - found[name]).flatten() for name in names]).norm()
    assert change > 0.1
    assert difference < 0.02 * change


@pytest.mark.slow
def test_a_process_that_dies_ends_the_job_and_a_restart_goes_on(config: TrainConfig) -> None:
    config = replace(config, steps=20, save_minutes=1e-6)
    process = start(config, restarts=1)
    assert process.stderr is not None
    assert any("saved" in line for line in process.stderr)
    workers = psutil.Process(process.pid).children(recursive=True)
    second = next(worker for worker in workers if worker.environ().get("RANK") == "1")
    second.kill()
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "rank 0: another process of this run is gone" in errors
    assert re.search(r"parameters on cpu in b?float\d+, from step [1-9]", errors)
    assert "step 20: done" in errors


@pytest.mark.slow
def test_a_signal_to_torchrun_saves_the_run(config: TrainConfig) -> None:
    process = start(replace(config, steps=100000))
    assert process.stderr is not None
    assert any("from the start" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=300)
    assert config.run_state.exists()
