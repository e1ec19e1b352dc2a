"""One mask for all channels of a signal, so that the stereo image stays.

Letters: B rows of a batch, C channels of one signal, F frequency bins, T frames.

The model hears one reference R per signal: in every bin and frame the root mean square of the
channels' magnitudes, with the phase of the loudest channel. What it makes of R, divided by R, is a
complex gain (magnitude and phase rotation) that every channel's spectrum is multiplied with.
Unlike the channels' mean, R does not vanish where channels have opposite signs; and no channel is
louder than sqrt(C) |R|, so no gain is ever applied to what the model did not hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mbs_cli.audio.parameters import Framing


class LinkedChannels(nn.Module):
    """A model for batches whose rows are the channels of several signals, `channels` of each."""

    def __init__(self, model: nn.Module, channels: Sequence[int]) -> None:
        super().__init__()
        self.model: Any = model
        self._channels = list(channels)

    @property
    def is_causal(self) -> bool:
        """Whether `stream` works."""
        return bool(self.model.is_causal)

    @property
    def framing(self) -> Framing:
        """The model's."""
        framing: Framing = self.model.framing
        return framing

    def stream(self, spectrum: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As the model's: (B, F, T, 2) and the state before to (B, F, T, 2) and the state after."""
        references = self._references(spectrum)
        estimates, state = self.model.stream(references, state)
        return self._with_gain(spectrum, references, estimates), state

    def look_ahead(self, spectrum: Tensor, state: Any, kept: int, shown: int) -> tuple[Tensor, Any]:
        """As the model's: estimates of `shown` frames and the state after `kept` of them."""
        references = self._references(spectrum)
        estimates, state = self.model.look_ahead(references, state, kept, shown)
        first = slice(shown)
        return self._with_gain(spectrum[:, :, first], references[:, :, first], estimates), state

    def _references(self, spectrum: Tensor) -> Tensor:
        signals = spectrum.split(self._channels)
        return torch.stack([reference(signal) for signal in signals])

    def _with_gain(self, spectrum: Tensor, references: Tensor, estimates: Tensor) -> Tensor:
        gains = complex_gain(references, estimates)
        rows = torch.tensor(self._channels, device=gains.device)
        return torch.view_as_real(
            torch.view_as_complex(spectrum) * gains.repeat_interleave(rows, 0)
        )


def reference(spectrum: Tensor) -> Tensor:
    """What stands for a signal's channels (C, F, T, 2): (F, T, 2). Of one channel, that one."""
    if len(spectrum) == 1:
        return spectrum[0]
    power = spectrum.square().sum(-1)
    loudest = power.argmax(0, keepdim=True)
    phase_from = spectrum.gather(0, loudest[..., None].expand(-1, -1, -1, 2))[0]
    power_there = power.gather(0, loudest)[0].clamp_min(torch.finfo(power.dtype).tiny)
    return phase_from * (power.mean(0) / power_there).sqrt()[..., None]


def complex_gain(references: Tensor, estimates: Tensor) -> Tensor:
    """The complex gain (..., F, T) from references to estimates, 0 where there is no reference."""
    before, after = torch.view_as_complex(references), torch.view_as_complex(estimates)
    is_there = before != 0
    return torch.where(is_there, after / torch.where(is_there, before, 1), 0)
