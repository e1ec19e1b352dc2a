r"""Band tables: how 257 frequency bins are shared out among bands. Imports nothing heavy.

Narrow bands where voiced harmonics lie, wide ones above (Yu et al., arXiv 2212.00406, section 2).
Bin f stands for f * 31.25 Hz: the first band's own bins end at 62.5 Hz, the last band's at 8 kHz.

Where bands overlap, a band reaches from the centre of the band below to that of the band above,
and a bin is decoded by the two bands whose centres it lies between, with shares that sum to one:

    share   1 |\    /\    /\    /     band 1 at its centre, band 2 at its, ...
              | \  /  \  /  \  /
            0 |__\/____\/____\/___  bins

So no step shows at the edge of a band. Letters: F = 257 bins, K bands, M places: the bins of all
bands, one band after the other; a bin that two bands hold has two places.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Literal, get_args

from mbs_cli.audio.parameters import BINS

BandsName = Literal["split", "overlapping"]


@dataclass(frozen=True)
class BandTable:
    """Bands by the number of bins that are each one's own, from 0 Hz up."""

    name: BandsName
    own_widths: tuple[int, ...]
    overlap: bool

    @property
    def bands(self) -> int:
        """K, the number of bands."""
        return len(self.own_widths)

    @cached_property
    def spans(self) -> tuple[range, ...]:
        """The bins of every band."""
        held = ([f for f in range(BINS) if self.share(k, f) > 0.0] for k in range(self.bands))
        return tuple(range(bins[0], bins[-1] + 1) for bins in held)

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of bins of every band."""
        return tuple(len(span) for span in self.spans)

    @property
    def places(self) -> int:
        """M, the sum of all widths."""
        return sum(self.widths)

    def share(self, band: int, frequency: int) -> float:
        """How much of a bin's value a band decides; all bands' shares of a bin sum to 1."""
        if not self.overlap:
            return float(self.edges[band] <= frequency < self.edges[band + 1])
        centres = self._centres
        own = centres[band]
        if frequency < own:
            below = centres[band - 1] if band else -float("inf")
            return max(0.0, 1.0 - (own - frequency) / (own - below))
        above = centres[band + 1] if band + 1 < self.bands else float("inf")
        return max(0.0, 1.0 - (frequency - own) / (above - own))

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Where the bins begin that are each band's own, and where the last band's end (K + 1,)."""
        return tuple(accumulate(self.own_widths, initial=0))

    @cached_property
    def _centres(self) -> tuple[float, ...]:
        edges = self.edges
        return tuple((low + high - 1) / 2 for low, high in pairwise(edges))


# 31 bands of 62.5 to 531 Hz, as published.
SPLIT = BandTable("split", (2,) + (3,) * 10 + (8,) * 12 + (16,) * 7 + (17,), overlap=False)
# 24 bands about 1.45 wide on the scale of equivalent rectangular bandwidths (Glasberg & Moore
# 1990): what bands above 1 kHz lose in number, the overlap gives back in resolution.
OVERLAPPING = BandTable(
    "overlapping",
    (2,) + (3,) * 10 + (8, 8, 10, 11, 13, 14, 15, 17) + (20, 23, 26, 28, 32),
    overlap=True,
)
BAND_TABLES: dict[BandsName, BandTable] = {table.name: table for table in (SPLIT, OVERLAPPING)}
assert tuple(BAND_TABLES) == get_args(BandsName)
assert all(sum(table.own_widths) == BINS for table in BAND_TABLES.values())
