"""BSRNN: band-split recurrent network (Yu et al., arXiv 2212.00406), the yardstick of this package.

Layer sizes as in the public implementation (sungwon23/BSRNN), whose parameter count this one has
exactly; time and band layers alternate as in the paper. Features lie as (K, B, T, D), so that what
differs from band to band is one batched matrix product over K.
Letters: B batch, F = 257 frequency bins, T frames, K = 31 bands, D features.

Not causal, in two places: every GroupNorm averages over all frames of the utterance, and the mask
reaches one frame ahead. The time LSTM itself runs forward only, and carries its state from window
to window of a long file; GroupNorm then averages over the frames of each window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.audio.parameters import BINS, Framing
from mbs_cli.models.band_split import band_index, place_index
from mbs_cli.models.bands import SPLIT
from mbs_cli.models.config import BsrnnConfig
from mbs_cli.models.decoders import rotate
from mbs_cli.models.recomputation import run_layer
from mbs_cli.models.window import Window

BAND_WIDTHS, BANDS = SPLIT.widths, SPLIT.bands
TAPS = 3
_PIECE_FRAMES = 192  # of a window computed at a time on a CPU
VARIANCE_FLOOR = 1e-5  # of GroupNorm, as torch has it
BAND_VARIANCE_FLOOR = 1e-8  # of bins whose mean power is 1: 80 dB below the utterance
SILENCE_POWER = 1e-20  # keeps the level of digital silence above zero

LstmState = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class State:
    """What runs forward in time remembers of the frames it has seen."""

    layers: list[LstmState]
    past_frame: Tensor  # (B, F, 1, 2): the last input frame, for the mask


class Bsrnn(nn.Module):
    """Spectrum (B, F, T, 2) of the uncompressed STFT -> clean estimate (B, F, T, 2)."""

    def __init__(self, config: BsrnnConfig, checkpoint_activations: bool = False) -> None:
        super().__init__()
        self.config = config
        self.checkpoint_activations = checkpoint_activations
        self.band_split = NormedBandSplit(config.features)
        self.layers = nn.ModuleList(DualLayer(config.features) for _ in range(config.layers))
        self.decoder = MaskDecoder(config.features)

    @property
    def is_causal(self) -> bool:
        """False; see the module's docstring."""
        return self.config.is_causal

    @property
    def framing(self) -> Framing:
        """How the signals behind the spectra are cut into frames."""
        return self.config.framing

    def forward(self, spectrum: Tensor) -> Tensor:
        """The clean estimate (B, F, T, 2) of a whole utterance (B, F, T, 2).

        The network sees the utterance at a mean power of 1 per bin, so that scaling the input
        scales the output.
        """
        features = self.band_split(_at_unit_power(spectrum))
        for layer in self.layers:
            features = run_layer(layer, features, recompute=self.checkpoint_activations)
        edge = torch.zeros_like(spectrum[:, :, :1])
        return filter_frames(torch.cat([edge, spectrum, edge], dim=2), self.decoder(features))

    def look_ahead(
        self, spectrum: Tensor, state: State | None, kept: int, shown: int
    ) -> tuple[Tensor, State]:
        """As `forward`, for the next T frames of a signal of any length.

        Returns the estimates of the first `shown` frames and the state after the first `kept`;
        0 < kept <= shown <= T. Pass it with the frames from there on. Levels and norms are those
        of the T frames. For inference only.
        """
        window = Window(kept, shown, _PIECE_FRAMES if spectrum.is_cpu else spectrum.shape[2])
        features = self.band_split(_at_unit_power(spectrum))
        layers: list[LstmState] = []
        for place, layer in enumerate(self.layers):
            known = state.layers[place] if state else None
            look_ahead: Any = layer.look_ahead
            features, after = look_ahead(features, known, window)
            layers.append(after)
        normed = self.decoder.normalise(features)
        edge = torch.zeros_like(spectrum[:, :, :1])
        padded = torch.cat([state.past_frame if state else edge, spectrum, edge], dim=2)
        pieces = window.pieces(shown)
        masks = (self.decoder.masks(normed[:, :, piece]) for piece in pieces)
        filtered = [
            filter_frames(padded[:, :, piece.start : piece.stop + TAPS - 1], mask)
            for piece, mask in zip(pieces, masks, strict=True)
        ]
        return torch.cat(filtered, dim=2), State(layers, spectrum[:, :, kept - 1 : kept].clone())


class NormedBandSplit(nn.Module):
    """Per band GroupNorm over its 2 * width values and all frames, then a Linear to D."""

    bins: Tensor
    places: Tensor
    band_mean: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        widths = torch.tensor(BAND_WIDTHS)
        band = torch.arange(BANDS).repeat_interleave(widths)
        same_band = (band[:, None] == band[None, :]).float()
        self.register_buffer("band_mean", same_band / widths[band], persistent=False)
        self.register_buffer("bins", band_index(SPLIT), persistent=False)
        self.register_buffer("places", place_index(SPLIT), persistent=False)
        self.gain = nn.Parameter(torch.ones(2, BINS))
        self.shift = nn.Parameter(torch.zeros(2, BINS))
        self.weight = nn.Parameter(torch.empty(2, BINS, features))
        self.bias = nn.Parameter(torch.zeros(BANDS, 1, features))
        _initialise_by_band(self.weight, 2, features)

    def forward(self, spectrum: Tensor) -> Tensor:
        """(B, F, T, 2) -> (K, B, T, D)."""
        batch, _, frames, _ = spectrum.shape
        normed = self._normalise(spectrum) * self.gain.T[:, None] + self.shift.T[:, None]
        padded = F.pad(normed, (0, 0, 0, 0, 0, 1))  # bin BINS is the zero that fills narrow bands
        banded = padded[:, self.bins].permute(1, 0, 3, 4, 2).reshape(BANDS, batch * frames, -1)
        weight = F.pad(self.weight, (0, 0, 0, 1))[:, self.places]  # (2, K, 17, D)
        weight = weight.transpose(0, 1).reshape(BANDS, -1, weight.shape[-1])
        return torch.baddbmm(self.bias, banded, weight).view(BANDS, batch, frames, -1)

    def _normalise(self, spectrum: Tensor) -> Tensor:
        mean = spectrum.mean(dim=(2, 3)) @ self.band_mean.T  # (B, F): each bin, its band's mean
        centred = spectrum - mean[..., None, None]
        variance = centred.square().mean(dim=(2, 3)) @ self.band_mean.T
        return centred * (variance + BAND_VARIANCE_FLOOR).rsqrt()[..., None, None]


class DualLayer(nn.Module):
    """An LSTM along time in every band, then a bidirectional LSTM across the bands of a frame."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.time_norm = UtteranceNorm(features)
        self.time_lstm = nn.LSTM(features, 2 * features, batch_first=True)
        self.time_out = nn.Linear(2 * features, features)
        self.band_norm = UtteranceNorm(features)
        self.band_lstm = nn.LSTM(features, 2 * features, bidirectional=True)
        self.band_out = nn.Linear(4 * features, features)
        for lstm in (self.time_lstm, self.band_lstm):
            _initialise_lstm(lstm)
        for linear in (self.time_out, self.band_out):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(K, B, T, D) -> (K, B, T, D)."""
        along_time, _ = self.time_lstm(self.time_norm(x).flatten(0, 1))
        x = x + self.time_out(along_time).view_as(x)
        across_bands, _ = self.band_lstm(self.band_norm(x).flatten(1, 2))
        y: Tensor = x + self.band_out(across_bands).view_as(x)
        return y

    def look_ahead(
        self, x: Tensor, state: LstmState | None, window: Window
    ) -> tuple[Tensor, LstmState]:
        """As `forward`, piece by piece in the memory of x, and the state after the kept frames."""
        normed = self.time_norm(x)

        def advance(piece: slice, earlier: LstmState | None) -> LstmState:
            after: LstmState
            along_time, after = self.time_lstm(normed[:, :, piece].flatten(0, 1), earlier)
            x[:, :, piece] += self.time_out(along_time).unflatten(0, x.shape[:2])
            return after

        state = window.carry(x.shape[2], state, advance)
        normed = self.band_norm(x)
        for piece in window.pieces(x.shape[2]):
            across_bands, _ = self.band_lstm(normed[:, :, piece].flatten(1, 2))
            x[:, :, piece] += self.band_out(across_bands).unflatten(1, (x.shape[1], -1))
        return x, state


class UtteranceNorm(nn.Module):
    """GroupNorm with one group over features, frames and bands of (K, B, T, D)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """(K, B, T, D) -> (K, B, T, D)."""
        return _standardise(x, (0, 2, 3)) * self.gain + self.shift


class MaskDecoder(nn.Module):
    """Per band GroupNorm over features and frames, Linear to 4 D, tanh, Linear, GLU."""

    places: Tensor
    VALUES = 2 * TAPS

    def __init__(self, features: int) -> None:
        super().__init__()
        hidden = 4 * features
        self.register_buffer("places", place_index(SPLIT), persistent=False)
        self.norm_gain = nn.Parameter(torch.ones(BANDS, 1, 1, features))
        self.norm_shift = nn.Parameter(torch.zeros(BANDS, 1, 1, features))
        self.hidden_weight = nn.Parameter(torch.empty(BANDS, features, hidden))
        self.hidden_bias = nn.Parameter(torch.zeros(BANDS, 1, hidden))
        self.weight = nn.Parameter(torch.empty(2 * self.VALUES, BINS, hidden))
        self.bias = nn.Parameter(torch.zeros(2 * self.VALUES, BINS))
        _initialise(self.hidden_weight, features + hidden)
        _initialise_by_band(self.weight, 2 * self.VALUES, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Complex masks of neighbouring frames: (K, B, T, D) -> (B, F, T, TAPS, 2)."""
        return self.masks(self.normalise(x))

    def normalise(self, x: Tensor) -> Tensor:
        """(K, B, T, D) -> (K, B, T, D), with what all frames say of each band."""
        return _standardise(x, (2, 3)) * self.norm_gain + self.norm_shift

    def masks(self, normed: Tensor) -> Tensor:
        """As `forward`, of some of the frames normalised."""
        bands, batch, frames, _ = normed.shape
        hidden = torch.tanh(
            torch.baddbmm(self.hidden_bias, normed.flatten(1, 2), self.hidden_weight)
        )
        weight = F.pad(self.weight, (0, 0, 0, 1))[:, self.places]  # (2 * VALUES, K, 17, 4 D)
        weight = weight.permute(1, 3, 2, 0).reshape(bands, hidden.shape[-1], -1)
        banded = torch.bmm(hidden, weight).view(bands, batch, frames, -1, 2 * self.VALUES)
        by_bin = banded.permute(0, 3, 1, 2, 4)[self.places < SPLIT.places]  # (F, B, T, 2 * VALUES)
        values = F.glu(by_bin + self.bias.T[:, None, None], dim=-1).transpose(0, 1)
        return values.reshape(*values.shape[:-1], TAPS, 2)


def filter_frames(padded: Tensor, mask: Tensor) -> Tensor:
    """Each bin as a sum over its frames t - 1, t, t + 1, by mask (B, F, T, 3, 2): (B, F, T, 2).

    The taps lie along time, not frequency; padded (B, F, T + 2, 2) has one more frame at each end.
    """
    neighbours = padded.unfold(2, TAPS, 1).transpose(-1, -2)  # (B, F, T, TAPS, 2)
    return rotate(neighbours, mask).sum(dim=-2)


def _at_unit_power(spectrum: Tensor) -> Tensor:
    """Each signal of (B, F, T, 2) at a mean power of 1 per bin."""
    power = 2 * spectrum.square().mean(dim=(1, 2, 3), keepdim=True)
    return spectrum * (power + SILENCE_POWER).rsqrt()


def _standardise(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Zero mean and unit variance over the dimensions given."""
    variance, mean = torch.var_mean(x.float(), dims, correction=0, keepdim=True)
    return (x - mean) * (variance + VARIANCE_FLOOR).rsqrt()


def _initialise(weight: Tensor, inputs_and_outputs: int) -> None:
    bound = math.sqrt(6 / inputs_and_outputs)  # Glorot & Bengio 2010
    nn.init.uniform_(weight, -bound, bound)


def _initialise_by_band(weight: Tensor, values_per_bin: int, others: int) -> None:
    """Weights (values, F, others) between the values of a band's bins and `others` features."""
    with torch.no_grad():
        for part, width in zip(weight.split(BAND_WIDTHS, dim=1), BAND_WIDTHS, strict=True):
            _initialise(part, values_per_bin * width + others)


def _initialise_lstm(lstm: nn.LSTM) -> None:
    for name, parameter in lstm.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(parameter)
        else:
            nn.init.zeros_(parameter)
