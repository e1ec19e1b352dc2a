"""What runs inside a scoring child: `python -m mbs_cli.scoring.worker_process`.

Every question is a pair and the metrics wanted; it is answered with a `PairScore`, or with the text
of an unexpected failure.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence

from mbs_cli.child_process import serve
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.score import score_pair


def answer(question: tuple[ScorePair, Sequence[str]], send: Callable[[object], None]) -> None:
    """Score one pair."""
    try:
        send(score_pair(*question))
    except Exception:  # noqa: BLE001 - told to the parent, which raises it
        send(traceback.format_exc())


if __name__ == "__main__":
    serve(answer)
