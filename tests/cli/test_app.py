"""The command as a whole: quick to start, and it ends as it should."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

import mbs_cli

SLOW_MODULES = ("torch", "numba", "librosa", "scipy", "soundfile", "onnx", "onnxruntime")


def test_help_is_instant(run_mbs):
    def cpu_seconds() -> float:  # a busy machine does not count
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_mbs("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu_seconds() for _ in range(3)) < 0.3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["enhance", "--help"],
        ["live", "--help"],
        ["score", "--help"],
        ["profile", "--help"],
        ["export", "--help"],
        ["--version"],
    ],
)
def test_help_imports_nothing_slow(arguments):
    script = (
        f"import sys; sys.argv = ['mbs', *{arguments!r}]\n"
        "from mbs_cli.app import main\n"
        "try:\n    main()\n"
        f"finally:\n    print([name for name in {SLOW_MODULES!r} if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert output.stdout.splitlines()[-1] == "[]"


def test_importing_the_library_imports_nothing_slow():
    script = f"import sys, mbs_cli; print([m for m in {SLOW_MODULES!r} if m in sys.modules])"
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


def test_version(run_mbs):
    assert run_mbs("--version").stdout.strip() == f"mbs {mbs_cli.__version__}"


def test_everything_the_library_promises_is_there():
    for name in mbs_cli.__all__:
        assert getattr(mbs_cli, name) is not None
    with pytest.raises(AttributeError):
        mbs_cli.no_such_thing  # noqa: B018 - the access is the test


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["enhance"], ["enhance", "a", "--threads", "0"]]
)
def test_wrong_usage_ends_with_2(arguments, run_mbs):
    result = run_mbs(*arguments)
    assert result.returncode == 2
    assert "Usage" in result.stderr


def test_tracebacks_are_for_debugging_only(run_mbs, tmp_path):
    plain = run_mbs("enhance", tmp_path, "-o", tmp_path)
    debugged = run_mbs("--debug", "enhance", tmp_path, "-o", tmp_path)
    assert plain.returncode == debugged.returncode == 2
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debugged.stderr
    assert "hint:" in plain.stderr


@pytest.mark.skipif(platform.system() != "Linux", reason="counts processor time of a busy machine")
def test_threads_that_wait_leave_the_processor_to_others() -> None:
    code = (
        "from mbs_cli.device import let_waiting_threads_sleep as sleep; sleep();"
        "import time, torch; torch.set_num_threads(2); x = torch.randn(1 << 16);"
        "[x.exp() for _ in range(200)]; before = time.process_time(); time.sleep(0.02);"
        "print(time.process_time() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.002  # seconds; those that spin take 0.004 to 0.02
