"""Any signal as a stream: any sample rate, any number of channels, blocks of any size.

Letters: C channels, S samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples, check_floats, silence
from mbs_cli.device import Device
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.enhancer import open_enhancer
from mbs_cli.enhancement.loading import DEFAULT_LIVE_MODEL, load_model
from mbs_cli.enhancement.signal_path import SignalPath
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import AudioError, UsageError

_AS_IT_IS = Treatment()


class StreamEnhancer:
    """`feed` blocks, then `flush`: all output joined is what the whole signal would give.

    With a causal model for live use, too: what comes back is a few hundredths of a second behind
    (`mbs_cli.enhancement.latency`), and memory and time per block do not depend on what went
    before. Any other model works in windows of seconds.

    Raises UsageError for a rate or a number of channels below 1, and what `load_model` raises.
    """

    def __init__(
        self,
        model: str | Path | nn.Module = DEFAULT_LIVE_MODEL,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        channels: int = 1,
        *,
        device: Device | str = Device.AUTO,
        treatment: Treatment = _AS_IT_IS,
        output_rate_hz: int | None = None,
    ) -> None:
        for what, value in (("sample_rate_hz", sample_rate_hz), ("channels", channels)):
            if value < 1:
                raise UsageError(f"{what} {value}: expected at least 1")
        bounded = model if isinstance(model, BoundedModel) else None
        self._model = bounded or BoundedModel(load_model(model, device))
        self._channels = channels
        self._path = SignalPath(sample_rate_hz, channels, treatment, output_rate_hz)
        self._enhancer = open_enhancer(self._model, self._path.channels, treatment.channels)
        self._is_flat = False  # whether blocks come without an axis for the channel
        self._is_over = False

    @property
    def is_causal(self) -> bool:
        """Whether the model looks at the past only, so that little waits."""
        return self._model.is_causal

    def feed(self, block: Samples) -> Samples:
        """Take float samples of full scale 1, (C, S) or of one channel (S,), S >= 0; return
        the enhanced ones that are final, in the same form.

        Raises UsageError for another shape, for integers and after `flush`, AudioError for NaN or
        infinite samples; the stream then is as it was before.
        """
        given = np.asarray(block)
        check_floats(given)
        samples = np.atleast_2d(given.astype(np.float32, copy=False))
        self._check(samples)
        self._is_flat = given.ndim == 1
        enhanced = self._enhancer.feed(self._path.to_model(samples))
        return self._in_form(self._path.from_model(enhanced))

    def flush(self) -> Samples:
        """End the signal; return the rest, in the form of the last block. The stream cannot be
        fed any further: that raises UsageError.
        """
        self._check_open()
        self._is_over = True
        ending = self._path.to_model(silence(self._channels, 0), last=True)
        rest = np.concatenate([self._enhancer.feed(ending), self._enhancer.flush()], axis=1)
        return self._in_form(self._path.from_model(rest, last=True))

    def _in_form(self, samples: Samples) -> Samples:
        return samples.reshape(-1) if self._is_flat else samples

    def _check(self, block: Samples) -> None:
        self._check_open()
        if block.ndim != 2 or block.shape[0] != self._channels:
            raise UsageError(
                f"a block of shape {block.shape}: expected ({self._channels}, samples)",
                "put the channels first",
            )
        if not np.isfinite(block).all():
            raise AudioError("a block holds NaN or infinite samples", "leave it out or repair it")

    def _check_open(self) -> None:
        if self._is_over:
            raise UsageError("this stream was flushed", "make a StreamEnhancer for each signal")
