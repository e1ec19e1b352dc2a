"""What runs inside a scoring child: `python -m mbs_cli.scoring.worker_process`.

Reads pickled (pair, metrics) from standard input until it ends and answers each with a pickled
`PairScore`, or with the text of an unexpected failure. Nothing else may reach standard output, so
whatever a metric's package prints there is sent to standard error.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from typing import BinaryIO

from mbs_cli.scoring.score import PairScore, score_pair


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end."""
    while True:
        try:
            pair, metrics = pickle.load(questions)  # noqa: S301 - written by our own parent
        except EOFError:
            return
        answer: PairScore | str
        try:
            answer = score_pair(pair, metrics)
        except Exception:  # noqa: BLE001 - told to the parent, which raises it
            answer = traceback.format_exc()
        pickle.dump(answer, answers)
        answers.flush()


def main() -> None:
    """Serve on the standard streams; an interrupt is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
