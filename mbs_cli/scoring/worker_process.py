"""What runs inside a scoring child: `python -m mbs_cli.scoring.worker_process`.

Every question is a pair and the metrics wanted; it is answered with a `PairScore`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mbs_cli.child_process import serve
from mbs_cli.scoring.pair import ScorePair
from mbs_cli.scoring.score import score_pair


def answer(question: tuple[ScorePair, Sequence[str]], send: Callable[[object], None]) -> None:
    """Score one pair."""
    send(score_pair(*question))


if __name__ == "__main__":
    serve(answer)
