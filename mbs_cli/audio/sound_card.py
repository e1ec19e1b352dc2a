"""Microphones and speakers through PortAudio: the package sounddevice, an extra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mbs_cli.audio.audio_device import Exchange
from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.errors import DeviceError

_LIST_HINT = "mbs live --list-devices shows what there is"


@dataclass(frozen=True)
class CardInfo:
    """A device as PortAudio lists it."""

    index: int
    name: str
    interface: str  # ALSA, Core Audio, WASAPI, ...
    input_channels: int
    output_channels: int
    sample_rate_hz: int  # its own


def list_cards() -> list[CardInfo]:
    """All devices. Raises DeviceError if sounddevice or PortAudio is missing."""
    sounddevice = _sounddevice()
    interfaces = [interface["name"] for interface in sounddevice.query_hostapis()]
    return [
        CardInfo(
            device["index"],
            device["name"],
            interfaces[device["hostapi"]],
            device["max_input_channels"],
            device["max_output_channels"],
            round(device["default_samplerate"]),
        )
        for device in sounddevice.query_devices()
    ]


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError(
            "live sound needs the package sounddevice, which is not installed",
            "pip install 'mbs-cli[live]'",
        ) from error
    except OSError as error:  # the package is there, the library it calls is not
        raise DeviceError(
            f"live sound needs PortAudio ({error})",
            "install it: apt install libportaudio2, dnf install portaudio or brew install "
            "portaudio",
        ) from error
    return sounddevice


class SoundCard:
    """One microphone channel in, the same on one or two speakers out.

    At 16 kHz if the devices (or the system for them) take it, else at the input's own rate.
    `recorder` and `player` are a number or a part of the name, None for the system's choice.
    Raises DeviceError.
    """

    channels = 1

    def __init__(self, recorder: str | None, player: str | None, block_seconds: float) -> None:
        self._sounddevice = _sounddevice()
        self._exchange: Exchange | None = None
        self._failures = (self._sounddevice.PortAudioError, ValueError)
        self.dropouts = 0
        recording = self._find(recorder, "input")
        playing = self._find(player, "output")
        speakers = min(2, playing["max_output_channels"])
        devices = recording["index"], playing["index"]
        self.sample_rate_hz = self._rate_of(recording, devices, speakers)
        self.block_samples = max(1, round(block_seconds * self.sample_rate_hz))
        try:
            self._stream = self._sounddevice.Stream(
                samplerate=self.sample_rate_hz,
                blocksize=self.block_samples,
                device=devices,
                channels=(self.channels, speakers),
                dtype="float32",
                latency="low",
                callback=self._on_block,
            )
        except self._failures as error:
            raise DeviceError(
                f"{recording['name']} and {playing['name']}: cannot be opened together ({error})",
                f"choose others with --input and --output; {_LIST_HINT}",
            ) from error

    def _find(self, wanted: str | None, kind: str) -> Any:
        device = int(wanted) if wanted is not None and wanted.isdecimal() else wanted
        try:
            found = self._sounddevice.query_devices(device, kind)
        except self._failures as error:
            what = f"no {kind} device" if wanted is None else f"--{kind} {wanted}: no such device"
            raise DeviceError(
                f"{what} ({error})",
                f"{_LIST_HINT}; to try without one: mbs live --input FILE --output FILE",
            ) from error
        if found[f"max_{kind}_channels"] < 1:
            raise DeviceError(f"--{kind} {wanted}: {found['name']} has no {kind}", _LIST_HINT)
        return found

    def _rate_of(self, recording: Any, devices: tuple[int, int], speakers: int) -> int:
        rate_hz = SAMPLE_RATE_HZ
        try:
            self._sounddevice.check_input_settings(devices[0], self.channels, samplerate=rate_hz)
            self._sounddevice.check_output_settings(devices[1], speakers, samplerate=rate_hz)
        except self._failures:
            rate_hz = round(recording["default_samplerate"])
        return rate_hz

    @property
    def own_delay_seconds(self) -> float:
        """What PortAudio says of its buffers on both sides."""
        recording, playing = self._stream.latency
        return float(recording + playing)

    @property
    def is_over(self) -> bool:
        """Whether it was unplugged."""
        return not self._stream.active

    def start(self, exchange: Exchange) -> None:
        """Begin to record and play."""
        self._exchange = exchange
        try:
            self._stream.start()
        except self._failures as error:
            raise DeviceError(f"the sound card does not start ({error})", _LIST_HINT) from error

    def _on_block(self, recorded: Any, played: Any, _frames: int, _time: Any, status: Any) -> None:
        """PortAudio's callback, in its thread: nothing here may wait."""
        assert self._exchange is not None
        self.dropouts += bool(status.input_overflow or status.output_underflow)
        played[:] = self._exchange(recorded.T.copy()).T

    def stop(self) -> None:
        """End."""
        was_over = self._stream.stopped or not self._stream.active
        self._stream.close()
        if was_over and self._exchange is not None:
            raise DeviceError("the sound card stopped", f"was it unplugged? {_LIST_HINT}")
