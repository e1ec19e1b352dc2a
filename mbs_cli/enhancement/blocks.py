"""A signal at any sample rate, enhanced block by block.

Letters: C channels, S samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mbs_cli.audio.rate_bridge import RateBridge
from mbs_cli.audio.samples import Samples, silence
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.enhancer import open_enhancer


def block_frames(model: BoundedModel, sample_rate_hz: int, channels: int) -> int:
    """How many samples per channel a block of a file should have."""
    return max(1, int(model.working_seconds(channels) * sample_rate_hz))


def enhance_blocks(
    model: BoundedModel, blocks: Iterable[Samples], sample_rate_hz: int, channels: int
) -> Iterator[Samples]:
    """Yield what is final after each block (C, S); joined, it has the length of all blocks."""
    bridge = RateBridge(sample_rate_hz, channels)
    enhancer = open_enhancer(model, channels)
    for block in blocks:
        yield bridge.from_model(enhancer.feed(bridge.to_model(block)))
    ending = enhancer.feed(bridge.to_model(silence(channels, 0), last=True))
    rest = np.concatenate([ending, enhancer.flush()], axis=1)
    yield bridge.from_model(rest, last=True)
