"""From features per band to an estimate of the clean spectrum.

Letters: B batch, F = 257 frequency bins, T frames, K bands of up to W bins, M places (the bins of
all bands, `mbs_cli.models.bands`), D features, H hidden features.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.audio.parameters import BINS
from mbs_cli.models.band_split import place_index
from mbs_cli.models.bands import BandTable
from mbs_cli.models.kernels.launch import run_shared, runs_fused
from mbs_cli.models.packing import (
    KernelInput,
    PackedModule,
    as_array,
    pack_columns,
    pack_linear,
    pack_weight,
)

UNIT_FLOOR = 1e-6  # keeps the rotation differentiable where both of its parts are 0
_ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


def shares_of_bins(table: BandTable) -> tuple[Tensor, Tensor]:
    """The places (P, F) that decide every bin, and their shares (P, F); P is 2 where bands overlap.

    A bin that one band decides alone has its only place twice, the second time with a share of 0.
    """
    holders: list[list[tuple[int, float]]] = [[] for _ in range(BINS)]
    place = 0
    for band, span in enumerate(table.spans):
        for frequency in span:
            holders[frequency].append((place, table.share(band, frequency)))
            place += 1
    most = max(map(len, holders))
    filled = [own + [(own[0][0], 0.0)] * (most - len(own)) for own in holders]
    pairs = torch.tensor(filled, dtype=torch.float64)  # (F, P, 2)
    return pairs[..., 0].T.long().contiguous(), pairs[..., 1].T.float().contiguous()


class BandDecoder(PackedModule):
    """Per band LayerNorm, Linear to H, tanh, Linear: (K, B, T, D) -> (B, values, F, T).

    A bin that lies in two bands gets the sum of what both say of it, each times its share.
    """

    places: Tensor
    first_places: Tensor
    deciding: Tensor
    shares: Tensor

    def __init__(self, features: int, hidden: int, values: int, table: BandTable) -> None:
        super().__init__()
        bands, self.table = table.bands, table
        self.register_buffer("places", place_index(table), persistent=False)
        first_places = torch.tensor((0, *table.widths)).cumsum(0)
        self.register_buffer("first_places", first_places, persistent=False)
        deciding, shares = shares_of_bins(table)
        self.register_buffer("deciding", deciding, persistent=False)
        self.register_buffer("shares", shares, persistent=False)
        self.norm_gain = nn.Parameter(torch.ones(bands, 1, features))
        self.norm_shift = nn.Parameter(torch.zeros(bands, 1, features))
        self.hidden_weight = nn.Parameter(torch.empty(bands, features, hidden))
        self.hidden_bias = nn.Parameter(torch.zeros(bands, 1, hidden))
        self.weight = nn.Parameter(torch.empty(values, table.places, hidden))
        self.bias = nn.Parameter(torch.zeros(values, BINS))
        nn.init.uniform_(self.hidden_weight, -1 / math.sqrt(features), 1 / math.sqrt(features))
        nn.init.uniform_(self.weight, -1 / math.sqrt(hidden), 1 / math.sqrt(hidden))

    def forward(self, features: Tensor) -> Tensor:
        """The values of every bin, float32; for inference on the CPU by one fused kernel."""
        return self._fused(features) if runs_fused(features) else self.plain(features)

    def _fused(self, features: Tensor) -> Tensor:
        from mbs_cli.models.kernels.band_decoder import decode_bands

        _, batch, frames, _ = features.shape
        placed = features.new_empty(batch, frames, self.weight.shape[0], self.table.places)
        inputs = (features.flatten(1, 2), *self.packed(), self.first_places)
        run_shared(decode_bands, self.table.bands, *inputs, placed.flatten(0, 1))
        return (self._shared(placed, dim=3) + self.bias).permute(0, 2, 3, 1)

    def _shared(self, placed: Tensor, dim: int) -> Tensor:
        """The values of bins, from those of places along that dimension."""
        if not self.table.overlap:
            return placed
        shape = [1] * placed.dim()
        shape[dim] = BINS
        first, second = (
            placed.index_select(dim, places) * shares.view(shape)
            for places, shares in zip(self.deciding, self.shares, strict=True)
        )
        values: Tensor = first + second
        return values

    def pack(self) -> KernelInput:
        """Gain and shift of the norm, weight and bias of the hidden layer and weight of the last
        one, for each band.
        """
        widths = self.table.widths
        columns = self.weight.shape[0] * max(widths)
        weight = self.weight.new_zeros(len(widths), columns, self.weight.shape[2])
        for band, own in enumerate(self.weight.split(widths, dim=1)):
            weight[band, : own.shape[0] * own.shape[1]] = own.flatten(0, 1)
        return (
            as_array(self.norm_gain[:, 0]),
            as_array(self.norm_shift[:, 0]),
            pack_weight(self.hidden_weight, self.product_dtype),
            pack_columns(self.hidden_bias[:, 0]),
            pack_weight(weight.mT, self.product_dtype),
        )

    def plain(self, features: Tensor) -> Tensor:
        """The same in torch, on any device and under autograd."""
        bands, batch, frames, size = features.shape
        normed = F.layer_norm(features.flatten(1, 2), (size,))
        normed = normed * self.norm_gain + self.norm_shift
        hidden = torch.tanh(torch.baddbmm(self.hidden_bias, normed, self.hidden_weight))
        values = self.weight.shape[0]
        weight = F.pad(self.weight, (0, 0, 0, 1))[:, self.places]  # (values, K, W, H)
        weight = weight.permute(1, 3, 0, 2).reshape(bands, hidden.shape[-1], -1)
        banded = torch.bmm(hidden, weight).view(bands, batch, frames, values, -1)
        placed = banded.permute(1, 3, 0, 4, 2)[:, :, self.places < self.table.places]
        return self._shared(placed.float(), dim=2) + self.bias[:, :, None]


class Head(PackedModule):
    """Features times an activation of a Linear of them."""

    def __init__(self, features: int, activation: Literal["sigmoid", "tanh"]) -> None:
        super().__init__()
        self.activation = activation
        linear = nn.Linear(features, features)
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, features: Tensor) -> Tensor:
        """(K, B, T, D) -> (K, B, T, D); for inference on the CPU by one fused kernel."""
        if runs_fused(features):
            return self._fused(features)
        gate = F.linear(features, self.weight, self.bias).to(features.dtype)
        return features * _ACTIVATIONS[self.activation](gate)

    def _fused(self, features: Tensor) -> Tensor:
        from mbs_cli.models.kernels.band_decoder import TOGETHER, gate_rows

        gated = features.new_empty(features.shape)
        rows, gated_rows = features.flatten(0, 2), gated.flatten(0, 2)
        by_sigmoid = self.activation == "sigmoid"
        pieces = -(-len(rows) // TOGETHER)
        run_shared(gate_rows, pieces, rows, *self.packed(), by_sigmoid, gated_rows)
        return gated

    def pack(self) -> KernelInput:
        """Weight and bias."""
        return pack_linear(self.weight, self.bias, self.product_dtype)


class MagnitudeDecoder(nn.Module):
    """A gain in (0, 2) per bin, of features gated by a sigmoid head: (B, F, T)."""

    def __init__(self, features: int, hidden: int, table: BandTable) -> None:
        super().__init__()
        self.head = Head(features, "sigmoid")
        self.decoder = BandDecoder(features, hidden, values=1, table=table)

    def forward(self, features: Tensor) -> Tensor:
        """(K, B, T, D) -> (B, F, T)."""
        return 2 * torch.sigmoid(self.decoder(self.head(features))[:, 0])


class PhaseDecoder(nn.Module):
    """A rotation per bin as a unit vector (B, F, T, 2), of features gated by a tanh head.

    It starts near no rotation; the vector is normalised rather than made of an angle, so that
    no step of it has an infinite slope.
    """

    def __init__(self, features: int, hidden: int, table: BandTable) -> None:
        super().__init__()
        self.head = Head(features, "tanh")
        self.decoder = BandDecoder(features, hidden, values=2, table=table)
        with torch.no_grad():
            self.decoder.bias[0].fill_(1.0)

    def forward(self, features: Tensor) -> Tensor:
        """(K, B, T, D) -> (B, F, T, 2)."""
        vector = self.decoder(self.head(features)).permute(0, 2, 3, 1)
        length = (vector.square().sum(-1, keepdim=True) + UNIT_FLOOR).sqrt()
        rotation: Tensor = vector / length
        return rotation


class ComplexDecoder(nn.Module):
    """A complex mask over 3 neighbouring frames, this one and the two before it.

    Each output bin is the sum of the bin's three taps times their masks (deep filtering along
    time, Mack & Habets, arXiv 1904.08369), so that the decoder stays causal.
    """

    TAPS = 3

    def __init__(self, features: int, hidden: int, table: BandTable) -> None:
        super().__init__()
        self.decoder = BandDecoder(features, hidden, values=2 * self.TAPS, table=table)
        with torch.no_grad():
            self.decoder.bias[0].fill_(1.0)

    def forward(self, features: Tensor, spectrum: Tensor, history: Tensor) -> Tensor:
        """Estimate (B, F, T, 2) from spectrum (B, F, T, 2) and the two frames before it."""
        masks = self.decoder(features)
        padded = torch.cat([history, spectrum], dim=2)
        frames = spectrum.shape[2]
        estimate = torch.zeros_like(spectrum)
        for tap in range(self.TAPS):
            first = self.TAPS - 1 - tap
            past = padded[:, :, first : first + frames]
            real, imaginary = masks[:, 2 * tap], masks[:, 2 * tap + 1]
            estimate = estimate + rotate(past, torch.stack([real, imaginary], dim=-1))
        return estimate


def rotate(spectrum: Tensor, factor: Tensor) -> Tensor:
    """Complex product of two real views (..., 2)."""
    real = spectrum[..., 0] * factor[..., 0] - spectrum[..., 1] * factor[..., 1]
    imaginary = spectrum[..., 0] * factor[..., 1] + spectrum[..., 1] * factor[..., 0]
    return torch.stack([real, imaginary], dim=-1)
