"""What a model is made of, and the five presets.

Imports no torch, so that help texts are instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from mbs_cli.audio.parameters import FRAMES_8_MS, FRAMINGS, Framing, FramingName
from mbs_cli.errors import UsageError
from mbs_cli.models.bands import BAND_TABLES, SPLIT, BandsName, BandTable

TimeLayer = Literal["mamba", "bidirectional-mamba", "lstm"]
BandLayer = Literal["mlp", "bidirectional-mamba", "none"]
Decoder = Literal["magnitude-phase", "magnitude", "complex-3-tap"]
Branches = Literal["shared", "dual"]


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise UsageError(
            f"model config: {name} is {value!r}, expected a whole number from {low} to {high}"
        )


def _check_choice(name: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise UsageError(
            f"model config: {name} is {value!r}, expected one of {', '.join(accepted)}"
        )


@dataclass(frozen=True)
class MbsNetConfig:
    """The sizes and switches of MBS-Net; the defaults are the preset `mbs-net`."""

    frames: FramingName = "16ms"  # from one frame to the next (`mbs_cli.audio.parameters`)
    bands: BandsName = "overlapping"  # how bins share out among bands (`mbs_cli.models.bands`)
    features: int = 128  # D, per band and frame
    layers: int = 4  # time layers
    states: int = 12  # N, per feature of a Mamba block
    expand: int = 1  # inner features of a Mamba block = expand * features
    decoder_hidden: int = 240  # hidden features per band of each decoder
    time_layer: TimeLayer = "mamba"  # what looks along time in each band
    band_layer: BandLayer = "mlp"  # what looks across the bands of a frame
    band_layer_every: int = 1  # one band layer after that many time layers
    decoder: Decoder = "magnitude-phase"  # how the estimate is made of the input spectrum
    branches: Branches = "shared"  # one encoder, or one for each of magnitude and phase

    def __post_init__(self) -> None:
        _check_choice("frames", self.frames, get_args(FramingName))
        _check_choice("bands", self.bands, get_args(BandsName))
        _check_range("features", self.features, 8, 1024)
        _check_range("layers", self.layers, 1, 32)
        _check_range("states", self.states, 1, 128)
        _check_range("expand", self.expand, 1, 4)
        _check_range("decoder_hidden", self.decoder_hidden, 8, 4096)
        _check_range("band_layer_every", self.band_layer_every, 1, self.layers)
        _check_choice("time_layer", self.time_layer, get_args(TimeLayer))
        _check_choice("band_layer", self.band_layer, get_args(BandLayer))
        _check_choice("decoder", self.decoder, get_args(Decoder))
        _check_choice("branches", self.branches, get_args(Branches))
        if self.branches == "dual" and self.decoder != "magnitude-phase":
            raise UsageError(
                f"model config: branches is 'dual' and decoder is {self.decoder!r}; "
                "two branches need the decoder 'magnitude-phase'"
            )

    @property
    def is_causal(self) -> bool:
        """Whether no output frame depends on a later input frame."""
        return self.time_layer != "bidirectional-mamba"

    @property
    def framing(self) -> Framing:
        """How signals are cut into frames."""
        return FRAMINGS[self.frames]

    @property
    def band_table(self) -> BandTable:
        """How bins are shared out among bands."""
        return BAND_TABLES[self.bands]

    @property
    def inner_features(self) -> int:
        """E, the features inside a Mamba block."""
        return self.expand * self.features

    @property
    def step_rank(self) -> int:
        """The rank of the step-size projection of a Mamba block: ceil(D / 16)."""
        return -(-self.features // 16)


@dataclass(frozen=True)
class BsrnnConfig:
    """The sizes of BSRNN; the defaults are the preset `bsrnn`."""

    features: int = 64  # D, per band and frame
    layers: int = 5  # pairs of a time LSTM and a band LSTM

    def __post_init__(self) -> None:
        _check_range("features", self.features, 8, 1024)
        _check_range("layers", self.layers, 1, 32)

    @property
    def is_causal(self) -> bool:
        """False: the time LSTM runs forward only, but GroupNorm averages over all frames."""
        return False

    @property
    def framing(self) -> Framing:
        """Frames as published."""
        return FRAMES_8_MS

    @property
    def band_table(self) -> BandTable:
        """Bands as published."""
        return SPLIT


ModelConfig = MbsNetConfig | BsrnnConfig

ARCHITECTURES: dict[str, type[Any]] = {"mbs-net": MbsNetConfig, "bsrnn": BsrnnConfig}

PRESETS: dict[str, ModelConfig] = {
    "mbs-net": MbsNetConfig(),
    "mbs-net-small": MbsNetConfig(
        features=64,
        states=8,
        decoder="magnitude",
        decoder_hidden=160,
    ),
    "mbs-net-bidirectional": MbsNetConfig(
        features=64,
        states=8,
        decoder_hidden=96,
        time_layer="bidirectional-mamba",
        decoder="magnitude",
    ),
    "mbs-net-original": MbsNetConfig(
        frames="8ms",
        bands="split",
        states=16,
        expand=2,
        decoder_hidden=512,
        time_layer="bidirectional-mamba",
        band_layer="bidirectional-mamba",
        band_layer_every=4,
        branches="dual",
    ),
    "bsrnn": BsrnnConfig(),
}


def with_switches(config: ModelConfig, switches: Sequence[str]) -> ModelConfig:
    """The config with some of its fields changed, each given as text: "time_layer=lstm".

    Raises UsageError for a field that is not there or a value that does not fit it.
    """
    changes: dict[str, Any] = {}
    for switch in switches:
        name, separator, value = switch.partition("=")
        known = asdict(config)
        if not separator or name not in known:
            raise UsageError(
                f"switch {switch!r}: expected NAME=VALUE with one of {', '.join(known)}",
                "for example band_layer=none",
            )
        changes[name] = int(value) if value.isdecimal() else value
    return replace(config, **changes)


def switches_to(config: ModelConfig, other: ModelConfig) -> tuple[str, ...]:
    """What `with_switches` makes `other` of `config` by; both of one architecture."""
    known = asdict(config)
    return tuple(f"{name}={value}" for name, value in asdict(other).items() if value != known[name])


def architecture_of(config: ModelConfig) -> str:
    """The name of the architecture that a config belongs to: `mbs-net` or `bsrnn`."""
    return next(name for name, kind in ARCHITECTURES.items() if isinstance(config, kind))
