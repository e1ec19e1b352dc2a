"""Measured in real processes: what is counted is what the system gives, and no memory is a result.

Memory that a process has once had stays with it, so every figure needs a process of its own.
"""

from __future__ import annotations

import threading
import time

import psutil
import pytest

from mbs_cli.profiling.probe_process import probe_inference, probe_training
from mbs_cli.profiling.request import ProbeRequest


def training_request(preset: str, **options: object) -> ProbeRequest:
    return ProbeRequest("training", preset, (), "cpu", **{"batch_size": 2, "threads": 1, **options})


def test_requests_survive_their_way_to_the_process() -> None:
    request = ProbeRequest("inference", "mbs-net", ("layers=2",), "cpu", seconds=0.5, threads=1)
    assert ProbeRequest.from_json(request.to_json()) == request
    assert request.config.layers == 2


@pytest.mark.parametrize("preset", ["mbs-net-small", "mbs-net"])
def test_counted_and_measured_memory_agree(preset: str) -> None:
    found = probe_training(training_request(preset))
    assert found.fits
    assert found.parts is not None
    assert found.counted_bytes == found.parts.total == pytest.approx(found.peak_bytes, rel=0.15)
    assert found.parts.weights >= found.parts.gradients > 0
    assert found.parts.optimizer == pytest.approx(3 * found.parts.gradients, rel=0.01)
    assert found.scan is not None
    assert found.scan.naive_measured_bytes == found.scan.naive_bytes >= 33 * found.scan.kept_bytes
    assert found.step_seconds is not None
    assert found.clips_per_second == pytest.approx(2 / found.step_seconds)


def test_too_little_memory_is_a_result() -> None:
    request = training_request("mbs-net-small", memory_limit_bytes=60_000_000)
    found = probe_training(request)
    assert not found.fits
    assert found.peak_bytes is None
    assert 0 < found.reached_bytes < 120_000_000


def test_a_process_killed_for_its_memory_is_a_result() -> None:
    def kill_first_child() -> None:
        while not (children := psutil.Process().children()):
            time.sleep(0.01)
        children[0].kill()

    killer = threading.Thread(target=kill_first_child)
    killer.start()
    found = probe_inference(ProbeRequest("inference", "mbs-net-small", (), "cpu"))
    killer.join()
    assert not found.fits


def test_a_failure_of_another_kind_is_told() -> None:
    with pytest.raises(RuntimeError, match="no_such_device"):
        probe_inference(ProbeRequest("inference", "mbs-net-small", (), "no_such_device"))
