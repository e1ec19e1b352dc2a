"""A Python module as a child process that answers questions over pipes.

A plain child rather than `multiprocessing`: it never imports the caller's main module, so scripts
without a main guard and notebooks work, and a child that dies costs what it was doing and no more.
The two sides exchange pickles that never leave this machine's pipes.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from mbs_cli.python_module import module_command, module_environment

_THREAD_VARIABLES = tuple(
    f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")
)
_ENDING_SECONDS = 10.0  # a child that takes longer is ended for good


class ChildDied(Exception):
    """The child ended before it answered; the text says how: "with code 3", "(Killed)"."""


class ChildProcess:
    """The parent's side.

    The child may use so many `threads`. When it is stopped, one that `tidies_up` may do so first.
    """

    def __init__(self, module: str, threads: int = 1, *, tidies_up: bool = False) -> None:
        self._tidies_up = tidies_up
        environment = module_environment() | dict.fromkeys(_THREAD_VARIABLES, str(threads))
        self._process = subprocess.Popen(  # noqa: S603 - a module of ours
            module_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C goes to the parent alone, which ends its children
        )

    def ask(self, question: object) -> None:
        """Send a question. Raises ChildDied."""
        assert self._process.stdin is not None
        try:
            pickle.dump(question, self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error

    def answer(self) -> Any:
        """Wait for the next answer. Raises ChildDied."""
        assert self._process.stdout is not None
        try:
            return pickle.load(self._process.stdout)  # noqa: S301 - written by our own child
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._death() from error

    def stop(self) -> None:
        """Have the child end; whoever waits for its answer gets ChildDied."""
        with suppress(OSError):
            if self._tidies_up:
                self._process.terminate()
            else:
                self._process.kill()

    def close(self) -> None:
        """Stop the child and wait until it has ended."""
        self.stop()
        self._wait()

    def _wait(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_SECONDS)
        self._process.kill()
        self._process.wait()

    def _death(self) -> ChildDied:
        self._wait()
        code = self._process.returncode
        how = f"with code {code}" if code >= 0 else f"({signal.strsignal(-code)})"
        return ChildDied(how)


def serve(answer: Callable[[Any, Callable[[object], None]], None]) -> None:
    """The child's side: have every question answered, by any number of answers, until they end.

    Nothing else may reach standard output, so what a package prints there goes to standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(value: object) -> None:
        pickle.dump(value, answers)
        answers.flush()

    while True:
        try:
            question = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
        except EOFError:
            _ignore_stops()
            return
        answer(question, send)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    _ignore_stops()
    sys.exit(0)  # by way of every `finally`, so that nothing half-written stays


def _ignore_stops() -> None:
    """Let a child that is ending end: a further signal would break into what tidies up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
