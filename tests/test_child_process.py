"""A child process ends as it is told to, and quietly."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mbs_cli.child_process import ChildDied, ChildProcess

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

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


def test_a_users_modules_in_the_current_folder_are_not_run(tmp_path):
    for name in ("statistics", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the user')")
    pair = [EXAMPLES / side / "en_babble_5db.flac" for side in ("clean", "noisy")]
    command = [sys.executable, "-P", "-m", "mbs_cli", "score", *pair, "--metrics", "stoi,si_sdr"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "1 of 1 scored" in found.stdout
