"""How far behind its input a stream's output is.

What waits where is decided in many places (the model's window, the resampler's filter, the gain
above 8 kHz), so it is counted on a stream of the same kind whose model changes nothing.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mbs_cli.audio.parameters import Framing
from mbs_cli.audio.samples import silence
from mbs_cli.enhancement.streaming import StreamEnhancer
from mbs_cli.enhancement.treatment import Treatment

_AS_IT_IS = Treatment()
# Long enough for whatever waits to have waited longest.
_CAUSAL_SECONDS, _WINDOWED_SECONDS = 1.0, 60.0


def waiting_samples(
    sample_rate_hz: int,
    block_samples: int,
    framing: Framing,
    *,
    is_causal: bool = True,
    treatment: Treatment = _AS_IT_IS,
) -> int:
    """The most samples by which all output together is shorter than all input so far.

    `StreamEnhancer` of a model with that framing, at that rate, fed in blocks of `block_samples`;
    a sample waits for the rest of its block besides.
    """
    unchanged = _Unchanged(framing, is_causal)
    stream = StreamEnhancer(unchanged, sample_rate_hz, device="cpu", treatment=treatment)
    block = silence(1, block_samples)
    seconds = _CAUSAL_SECONDS if is_causal else _WINDOWED_SECONDS
    waiting = most = 0
    for _ in range(max(1, round(seconds * sample_rate_hz / block_samples))):
        waiting += block_samples - stream.feed(block).shape[1]
        most = max(most, waiting)
    return most


class _Unchanged(nn.Module):
    """What comes in comes out, as fast as a model of that kind lets it."""

    def __init__(self, framing: Framing, is_causal: bool) -> None:
        super().__init__()
        self.framing = framing
        self.is_causal = is_causal
        self.place = nn.Parameter()  # tells the device

    def forward(self, spectrum: Tensor) -> Tensor:
        """(B, F, T, 2) as it is."""
        return spectrum

    def stream(self, spectrum: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(B, F, T, 2) as it is."""
        return spectrum, state

    def look_ahead(self, spectrum: Tensor, state: Any, kept: int, shown: int) -> tuple[Tensor, Any]:
        """The first `shown` frames as they are."""
        assert kept <= shown
        return spectrum[:, :, :shown], state
