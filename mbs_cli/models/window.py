"""A stretch of frames that a model looking both ways works on, and what of it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

State = TypeVar("State")


@dataclass(frozen=True)
class Window:
    """How far into a stretch of frames a model's state is carried, and estimates are wanted.

        |<----- kept ----->|<--------- only looked ahead at --------->|
        |<------- shown ------->|

    What runs forward in time goes on in the next window with its state after the last kept frame,
    so that the past is never heard twice; what runs backward starts anew at the window's end.
    """

    kept: int
    shown: int  # at least `kept`
    most: int  # frames to compute at a time

    def pieces(self, frames: int) -> Sequence[slice]:
        """The frames in stretches of at most `most` that end where the kept and shown ones do."""
        edges = {0, *range(self.most, frames, self.most), self.kept, self.shown, frames}
        return [slice(*ends) for ends in pairwise(sorted(edges)) if ends[1] <= frames]

    def carry(
        self, frames: int, state: State | None, advance: Callable[[slice, State | None], State]
    ) -> State:
        """Run `advance` over the pieces, from each state to the next; that after the kept ones."""
        kept_state: State | None = None
        for piece in self.pieces(frames):
            state = advance(piece, state)
            if piece.stop == self.kept:
                kept_state = state
        assert kept_state is not None
        return kept_state
