"""A signal at any sample rate, enhanced block by block.

Letters: C channels, S samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mbs_cli.audio.samples import Samples
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.streaming import StreamEnhancer
from mbs_cli.enhancement.treatment import Treatment

_AS_IT_IS = Treatment()


def block_frames(model: BoundedModel, sample_rate_hz: int, channels: int) -> int:
    """How many samples per channel a block of a file should have."""
    return max(1, int(model.working_seconds(channels) * sample_rate_hz))


def enhance_blocks(
    model: BoundedModel,
    blocks: Iterable[Samples],
    sample_rate_hz: int,
    channels: int,
    treatment: Treatment = _AS_IT_IS,
    output_rate_hz: int | None = None,
) -> Iterator[Samples]:
    """Yield what is final after each block (C, S); joined, it has the length of all blocks."""
    stream = StreamEnhancer(
        model, sample_rate_hz, channels, treatment=treatment, output_rate_hz=output_rate_hz
    )
    for block in blocks:
        yield stream.feed(block)
    yield stream.flush()
