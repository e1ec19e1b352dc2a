"""A child process that scores pairs, for metrics that are slow and may end their process.

A plain child rather than `multiprocessing`: it never imports the caller's main module (nor, with
it, torch), so scripts without a main guard and notebooks work, and its death costs one metric of
one pair. The two sides exchange pickles that never leave this machine's pipes.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mbs_cli.scoring.metrics import families_of
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.score import PairScore, empty_row

# One thread per child: the children already share the cores out among themselves.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


class WorkerDied(Exception):
    """The child process ended before it answered."""


class Worker:
    """One child process, started on first use and again after each death."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def score(self, pair: ScorePair, metrics: Sequence[str]) -> PairScore:
        """The scores of one pair; a metric that ends its process gets that as its reason.

        Raises:
            WorkerDied: `stop` was called meanwhile.
            RuntimeError: an unexpected failure in the child, with its traceback.
        """
        try:
            return self._ask(pair, metrics)
        except WorkerDied:
            return self._score_by_family(pair, metrics)

    def stop(self) -> None:
        """End the child at once; whoever waits for its answer gets `WorkerDied`."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Release what a stopped worker holds."""
        self.stop()
        if self._process is not None:
            self._discard(self._process)

    def _score_by_family(self, pair: ScorePair, metrics: Sequence[str]) -> PairScore:
        """One question per family, so that only the fatal one is lost."""
        row = empty_row(pair)
        for family in families_of(metrics):
            keys = family.keys_among(metrics)
            try:
                part = self._ask(pair, keys)
            except WorkerDied as death:
                if self._stopped:
                    raise
                row.reasons.update(dict.fromkeys(keys, str(death)))
            else:
                values, reasons = row.values | part.values, row.reasons | part.reasons
                row = replace(part, values=values, reasons=reasons)
        return row

    def _ask(self, pair: ScorePair, metrics: Sequence[str]) -> PairScore:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((pair, tuple(metrics)), process.stdin)
            process.stdin.flush()
            answer = pickle.load(process.stdout)  # noqa: S301 - written by our own child
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self._discard(process)
            raise WorkerDied(_cause_of_death(process.returncode)) from error
        if isinstance(answer, PairScore):
            return answer
        raise RuntimeError(f"scoring {pair.name} failed:\n{answer}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._stopped:
            raise WorkerDied("scoring was stopped")
        if self._process is None:
            self._process = _start_process()
        return self._process

    def _discard(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.communicate()
        self._process = None


def _start_process() -> subprocess.Popen[bytes]:
    search_path = [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, "1")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, search_path))
    return subprocess.Popen(
        [sys.executable, "-m", "mbs_cli.scoring.worker_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C goes to the parent alone, which ends its children
    )


def _cause_of_death(return_code: int) -> str:
    if return_code >= 0:
        return f"the metric ended its process with code {return_code}"
    return f"the metric ended its process ({signal.strsignal(-return_code)})"
