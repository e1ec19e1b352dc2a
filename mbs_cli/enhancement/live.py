"""From a microphone through a causal model to a speaker: `mbs live`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from mbs_cli.audio.audio_device import AudioDevice
from mbs_cli.audio.samples import SampleQueue, Samples, silence
from mbs_cli.device import Device
from mbs_cli.enhancement.block_exchange import BlockExchange
from mbs_cli.enhancement.latency import waiting_samples
from mbs_cli.enhancement.loading import DEFAULT_LIVE_MODEL, load_model
from mbs_cli.enhancement.streaming import StreamEnhancer
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import UsageError

_AS_IT_IS = Treatment()
_MOST_WAITING_SECONDS = 0.25
_STATUS_SECONDS = 0.5
_PATIENCE_SECONDS = 0.2  # without a block before the device is asked whether it still runs
_WARM_UP_BLOCKS = 20


@dataclass(frozen=True)
class Latency:
    """What makes the output late, in seconds."""

    block: float  # until a block is recorded
    model: float  # what the model and, but at 16 kHz, the resampler must hear first
    computing: float  # what the model may take for a block; grows by a block with each underrun
    device: float  # its own buffers

    @property
    def total(self) -> float:
        """From microphone to speaker."""
        return self.block + self.model + self.computing + self.device


@dataclass(frozen=True)
class LiveStatus:
    """How it goes so far."""

    seconds: float  # of sound taken
    latency: Latency
    real_time_factor: float  # computing time per second of sound
    block_seconds: float
    worst_block_seconds: float  # the longest time that a block took
    underruns: int  # blocks of silence played because the model was late
    overruns: int  # recorded blocks left out because too many waited
    device_dropouts: int


def enhance_live(
    device: AudioDevice,
    model: str | Path | nn.Module = DEFAULT_LIVE_MODEL,
    *,
    compute_on: Device | str = Device.CPU,
    treatment: Treatment = _AS_IT_IS,
    seconds: float | None = None,
) -> Generator[LiveStatus, None, None]:
    """Enhance what the device records and let it play that, until it ends or `seconds` are over.

    Yields the status twice a second and at the end. Raises UsageError for a model that looks
    ahead in time, what `load_model` raises, and what the device does.
    """
    network = load_model(model, compute_on)
    if not network.is_causal:
        raise UsageError(
            f"--model {model}: it looks ahead in time, so it cannot run live",
            "take a causal model such as mbs-net or mbs-net-small",
        )
    loop = _Loop(network, device, treatment)
    device.start(loop.exchange.exchange)
    try:
        yield from loop.run(seconds)
    finally:
        device.stop()


class _Loop:
    """The model's side of the exchange."""

    def __init__(self, model: Any, device: AudioDevice, treatment: Treatment) -> None:
        rate_hz, channels, block = device.sample_rate_hz, device.channels, device.block_samples
        self._device = device
        self._block_seconds = block / rate_hz
        most_waiting = max(3, round(_MOST_WAITING_SECONDS / self._block_seconds))
        self.exchange = BlockExchange(channels, block, most_waiting)
        self._waiting = waiting_samples(rate_hz, block, model.framing, treatment=treatment)
        self._enhanced = SampleQueue(channels)
        self._enhanced.push(silence(channels, self._waiting))
        self._blocks = 0
        self._busy_seconds = self._worst_seconds = 0.0
        warm_up = StreamEnhancer(model, rate_hz, channels, treatment=treatment)
        for _ in range(_WARM_UP_BLOCKS):  # the first calls compile, and find their memory
            warm_up.feed(silence(channels, block))
        self._stream = StreamEnhancer(model, rate_hz, channels, treatment=treatment)

    def run(self, seconds: float | None) -> Iterator[LiveStatus]:
        """Work until the end; the status now and then."""
        told = time.perf_counter()
        while seconds is None or self._blocks * self._block_seconds < seconds:
            recorded = self.exchange.take(_PATIENCE_SECONDS)
            if recorded is not None:
                self._work(recorded)
            elif self._device.is_over:
                break
            if time.perf_counter() - told >= _STATUS_SECONDS:
                told = time.perf_counter()
                yield self._status()
        yield self._status()

    def _work(self, recorded: Samples) -> None:
        begin = time.perf_counter()
        self._enhanced.push(self._stream.feed(recorded))
        while len(self._enhanced) >= recorded.shape[1]:
            self.exchange.give(self._enhanced.pop(recorded.shape[1]))
        taken_seconds = time.perf_counter() - begin
        self._blocks += 1
        self._busy_seconds += taken_seconds
        self._worst_seconds = max(self._worst_seconds, taken_seconds)

    def _status(self) -> LiveStatus:
        seconds = self._blocks * self._block_seconds
        latency = Latency(
            self._block_seconds,
            self._waiting / self._device.sample_rate_hz,
            self.exchange.waiting * self._block_seconds,
            self._device.own_delay_seconds,
        )
        return LiveStatus(
            seconds,
            latency,
            self._busy_seconds / seconds if seconds else 0.0,
            self._block_seconds,
            self._worst_seconds,
            self.exchange.underruns,
            self.exchange.overruns,
            self._device.dropouts,
        )
