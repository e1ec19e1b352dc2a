"""The two ways to run a model over a signal of any length behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import istft, stft
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.causal import CausalEnhancer
from mbs_cli.enhancement.linked import LinkedChannels
from mbs_cli.enhancement.treatment import ChannelMode
from mbs_cli.enhancement.windowed import WindowedEnhancer


class Enhancer(Protocol):
    """Blocks (C, S) at 16 kHz in, enhanced samples out; all output has the input's length."""

    def feed(self, block: Samples) -> Samples:
        """Take samples, return those that are final."""

    def flush(self) -> Samples:
        """End the signal, return the rest."""


def open_enhancer(model: BoundedModel, channels: int, mode: ChannelMode) -> Enhancer:
    """An exact stream for a causal model, windows with margins for any other.

    Channels are rows of one batch, with one mask for all if linked, else each with its own.
    """
    network = _heard(model, [channels], mode)
    if model.is_causal:
        return CausalEnhancer(network, channels)
    return WindowedEnhancer(network, channels)


def _heard(model: BoundedModel, rows: Sequence[int], mode: ChannelMode) -> Any:
    """The model for a batch of signals with so many channels each."""
    is_linked = mode is ChannelMode.LINKED and max(rows) > 1
    return LinkedChannels(model, rows) if is_linked else model


@torch.inference_mode()
def enhance_together(
    model: BoundedModel, signals: Sequence[Samples], mode: ChannelMode
) -> list[Samples]:
    """Enhance whole signals (C, S) at 16 kHz of several lengths as one batch of a causal model.

    Each is padded on the right to the longest, which cannot change what a causal model makes of
    the frames before; each is cut to its own frames again before the inverse transform.
    """
    lengths = [signal.shape[1] for signal in signals]
    rows = [signal.shape[0] for signal in signals]
    padded = torch.zeros(sum(rows), max(lengths))
    for own, signal in zip(torch.split(padded, rows), signals, strict=True):
        own[:, : signal.shape[1]] = torch.from_numpy(signal)
    framing = model.framing
    enhanced, _ = _heard(model, rows, mode).stream(stft(padded.to(model.device), framing))
    return [
        istft(own[:, :, : framing.frame_count(length)], length, framing).cpu().numpy()
        for own, length in zip(torch.split(enhanced, rows), lengths, strict=True)
    ]
