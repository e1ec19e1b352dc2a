"""The two ways to run a model over a signal of any length behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import nn

from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import frame_count, istft, stft
from mbs_cli.enhancement.streaming import StreamEnhancer
from mbs_cli.enhancement.windowed import WindowedEnhancer


class Enhancer(Protocol):
    """Blocks (C, S) at 16 kHz in, enhanced samples out; all output has the input's length."""

    def feed(self, block: Samples) -> Samples:
        """Take samples, return those that are final."""

    def flush(self) -> Samples:
        """End the signal, return the rest."""


def open_enhancer(model: nn.Module, channels: int) -> Enhancer:
    """An exact stream for a causal model, windows with margins for any other.

    Channels are rows of one batch, each with a mask of its own.
    """
    is_causal: Any = model.is_causal
    return StreamEnhancer(model, channels) if is_causal else WindowedEnhancer(model, channels)


@torch.inference_mode()
def enhance_together(model: nn.Module, signals: Sequence[Samples]) -> list[Samples]:
    """Enhance whole signals (C, S) at 16 kHz of several lengths in one call of a causal model.

    Each is padded on the right to the longest, which cannot change what a causal model makes of
    the frames before; each is cut to its own frames again before the inverse transform.
    """
    lengths = [signal.shape[1] for signal in signals]
    padded = torch.zeros(sum(signal.shape[0] for signal in signals), max(lengths))
    rows = torch.split(padded, [signal.shape[0] for signal in signals])
    for row, signal in zip(rows, signals, strict=True):
        row[:, : signal.shape[1]] = torch.from_numpy(signal)
    spectrum = model(stft(padded.to(next(model.parameters()).device)))
    spectra = torch.split(spectrum, [signal.shape[0] for signal in signals])
    return [
        istft(own[:, :, : frame_count(length)], length).cpu().numpy()
        for own, length in zip(spectra, lengths, strict=True)
    ]
