"""A loss of one part."""

from __future__ import annotations

from mbs_cli.training.config import WEIGHTS, LossConfig


def only(name: str) -> LossConfig:
    """That part with a weight of 1, and no other."""
    return LossConfig(**(dict.fromkeys(WEIGHTS, 0.0) | {name: 1.0}))
