"""Ctrl-C ends a program wherever it breaks in."""

from __future__ import annotations

from tests.conftest import MbsRunner

SCRIPT = """
import ctypes, os, signal, time
from mbs_cli.interrupts import lose_no_interrupt

def called_by_c():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)

lose_no_interrupt()
try:
    ctypes.CFUNCTYPE(None)(called_by_c)()
    for _ in range(50):
        time.sleep(0.1)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_in_what_c_calls_is_not_lost(run_mbs: MbsRunner) -> None:
    done = run_mbs(script=SCRIPT)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
