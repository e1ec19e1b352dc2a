"""The two ways to run a model over a signal of any length behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import frame_count, istft, stft
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.streaming import StreamEnhancer
from mbs_cli.enhancement.windowed import WindowedEnhancer


class Enhancer(Protocol):
    """Blocks (C, S) at 16 kHz in, enhanced samples out; all output has the input's length."""

    def feed(self, block: Samples) -> Samples:
        """Take samples, return those that are final."""

    def flush(self) -> Samples:
        """End the signal, return the rest."""


def open_enhancer(model: BoundedModel, channels: int) -> Enhancer:
    """An exact stream for a causal model, windows with margins for any other.

    Channels are rows of one batch, each with a mask of its own.
    """
    if model.is_causal:
        return StreamEnhancer(model, channels)
    return WindowedEnhancer(model, channels)


@torch.inference_mode()
def enhance_together(model: BoundedModel, signals: Sequence[Samples]) -> list[Samples]:
    """Enhance whole signals (C, S) at 16 kHz of several lengths as one batch of a causal model.

    Each is padded on the right to the longest, which cannot change what a causal model makes of
    the frames before; each is cut to its own frames again before the inverse transform.
    """
    lengths = [signal.shape[1] for signal in signals]
    rows = [signal.shape[0] for signal in signals]
    padded = torch.zeros(sum(rows), max(lengths))
    for own, signal in zip(torch.split(padded, rows), signals, strict=True):
        own[:, : signal.shape[1]] = torch.from_numpy(signal)
    enhanced, _ = model.stream(stft(padded.to(model.device)))
    return [
        istft(own[:, :, : frame_count(length)], length).cpu().numpy()
        for own, length in zip(torch.split(enhanced, rows), lengths, strict=True)
    ]
