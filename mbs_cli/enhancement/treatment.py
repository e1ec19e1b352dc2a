"""How the sound is treated beside being enhanced, as a user asks for it. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mbs_cli.errors import UsageError
from mbs_cli.options import choice


class ChannelMode(StrEnum):
    """What the model hears of a signal with several channels."""

    LINKED = "linked"  # one reference for all: one mask, and the stereo image stays
    INDEPENDENT = "independent"  # each channel by itself
    MONO = "mono"  # the mean of the channels, which is all that comes out


@dataclass(frozen=True)
class Treatment:
    """Channels and strength. Raises UsageError for values out of range."""

    channels: ChannelMode = ChannelMode.LINKED
    dry: float = 0.0  # the input's share of the output, 0 to 1
    attenuation_limit_db: float | None = None  # what is noise alone gets no quieter than that
    pcs: bool = False  # perceptual contrast stretching after the model

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", choice(ChannelMode, self.channels, "--channels"))
        if not 0 <= self.dry <= 1:
            raise UsageError(f"--dry {self.dry}: expected 0 (enhanced) to 1 (as it was)")
        limit_db = self.attenuation_limit_db
        if limit_db is not None and not limit_db >= 0:
            raise UsageError(f"--attenuation-limit {limit_db}: expected 0 dB or more")

    @property
    def dry_share(self) -> float:
        """The input's share d in the output: (1 - d) * enhanced + d * input, sample by sample.

        An attenuation limit of L dB is a share of 10^(-L/20): where the model leaves nothing, the
        input stays at -L dB. Of both options the larger share counts.
        """
        if self.attenuation_limit_db is None:
            return self.dry
        return max(self.dry, 10 ** (-self.attenuation_limit_db / 20))

    def channels_out(self, channels: int) -> int:
        """How many channels come out."""
        return 1 if self.channels is ChannelMode.MONO else channels
