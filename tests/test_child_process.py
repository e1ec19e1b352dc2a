"""A child process ends as it is told to, and quietly."""

from __future__ import annotations

import time

import pytest

from mbs_cli.child_process import ChildDied, ChildProcess

SLOW_TO_LEAVE = """
import atexit, pathlib, time
from mbs_cli.child_process import serve

@atexit.register
def leave():
    pathlib.Path("leaving").touch()
    time.sleep(0.3)
    pathlib.Path("left").touch()

serve(lambda question, send: send(question))
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    (tmp_path / "slow_to_leave.py").write_text(SLOW_TO_LEAVE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    child = ChildProcess("slow_to_leave", tidies_up=True)
    child.ask("ready?")
    assert child.answer() == "ready?"
    yield child
    child.close()


def wait_for(path):
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_child_that_is_ending_is_not_disturbed(is_told, child, tmp_path, capfd):
    if is_told:
        child.stop()
    else:
        child._process.stdin.close()
    wait_for(tmp_path / "leaving")
    child.stop()
    with pytest.raises(ChildDied, match="code 0"):
        child.answer()
    assert (tmp_path / "left").exists()
    assert capfd.readouterr().err == ""
