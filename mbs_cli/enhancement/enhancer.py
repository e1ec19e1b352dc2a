"""The two ways to run a model over a signal of any length behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mbs_cli.audio.samples import Samples
from mbs_cli.audio.stft import FRAMES_PER_SECOND, frame_count, istft, stft
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


def working_seconds(model: nn.Module, rows: int) -> float:
    """How much of a signal one call should get when that many channels share it.

    Memory grows with this and with nothing else, about 50 MB for a second of one channel. On a
    CPU a longer call is no faster, since its temporaries no longer fit the caches.
    """
    seconds = 2.0 if next(model.parameters()).device.type == "cpu" else 20.0
    return max(seconds / rows, 0.1)


@torch.inference_mode()
def enhance_together(model: nn.Module, signals: Sequence[Samples]) -> list[Samples]:
    """Enhance whole signals (C, S) at 16 kHz of several lengths as one batch of a causal model.

    Each is padded on the right to the longest, which cannot change what a causal model makes of
    the frames before; each is cut to its own frames again before the inverse transform.
    """
    lengths = [signal.shape[1] for signal in signals]
    rows = [signal.shape[0] for signal in signals]
    padded = torch.zeros(sum(rows), max(lengths))
    for own, signal in zip(torch.split(padded, rows), signals, strict=True):
        own[:, : signal.shape[1]] = torch.from_numpy(signal)
    enhanced = _run_in_pieces(model, stft(padded.to(next(model.parameters()).device)))
    return [
        istft(own[:, :, : frame_count(length)], length).cpu().numpy()
        for own, length in zip(torch.split(enhanced, rows), lengths, strict=True)
    ]


def _run_in_pieces(model: Any, spectrum: Tensor) -> Tensor:
    """`model.forward` on (B, F, T, 2), a stretch of frames at a time to bound its temporaries."""
    rows, _, frames, _ = spectrum.shape
    step = max(1, int(working_seconds(model, rows) * FRAMES_PER_SECOND))
    state = None
    pieces = []
    for start in range(0, frames, step):
        piece, state = model.stream(spectrum[:, :, start : start + step], state)
        pieces.append(piece)
    return torch.cat(pieces, dim=2)
