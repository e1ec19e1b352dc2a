"""From a spectrum to features per band: level normalisation, compression, band split.

Letters: B batch, F = 257 frequency bins, T frames, K bands of up to W bins, M places (the bins of
all bands, `mbs_cli.models.bands`), D features.
Everything inside a model is laid out (K, B, T, D): then the sequences of a time layer lie in one
piece, and what differs from band to band is one batched matrix product over K.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.audio.parameters import BINS, Framing
from mbs_cli.models.bands import BandTable
from mbs_cli.models.kernels.launch import run_shared, runs_fused
from mbs_cli.models.packing import (
    KernelInput,
    PackedModule,
    as_array,
    pack_columns,
    pack_weight,
)

COMPRESSION = 0.3
LEVEL_SECONDS = 1.0  # time constant of the running level
_LEVEL_BLOCK = 256  # frames of the running level computed by one matrix product
FLOOR = 1e-10  # magnitudes below count as this: a power of 0.3 has no finite slope at 0

# What the running level carries: decayed sum of frame levels and of their weights, (B,) each.
LevelState = tuple[Tensor, Tensor]


def band_index(table: BandTable) -> Tensor:
    """The bins of every band (K, W), or BINS where the band is narrower."""
    index = torch.full((table.bands, max(table.widths)), BINS)
    for band, span in enumerate(table.spans):
        index[band, : len(span)] = torch.tensor(span)
    return index


def place_index(table: BandTable) -> Tensor:
    """The places of every band (K, W), or M where the band is narrower."""
    index = torch.full((table.bands, max(table.widths)), table.places)
    own = torch.arange(table.places).split(list(table.widths))
    for band, places in enumerate(own):
        index[band, : len(places)] = places
    return index


def level_decay(frames_per_second: float) -> float:
    """What is left after a frame of the weight that a frame before it has in the level."""
    return math.exp(-1.0 / (LEVEL_SECONDS * frames_per_second))


def running_level(
    frame_levels: Tensor, state: LevelState | None, decay: float
) -> tuple[Tensor, LevelState]:
    """Exponentially weighted mean over the frames so far, of frame_levels (B, T): (B, T).

    The weights are renormalised at the start, as in Adam, so that the first frame already has its
    own level. Feeding the frames in pieces gives the same as feeding them at once.
    """
    total, weight = state or (torch.zeros_like(frame_levels[:, 0]),) * 2
    means = []
    for block in frame_levels.split(_LEVEL_BLOCK, dim=1):
        age = torch.arange(block.shape[1], device=block.device)
        lag = age[None, :] - age[:, None]  # [s, t]: how long ago frame s was at frame t
        kernel = torch.where(lag >= 0, decay ** lag.clamp_min(0), 0.0).to(block.dtype)
        carried = decay ** (age + 1.0)
        totals = block @ kernel + total[:, None] * carried
        weights = kernel.sum(0) + weight[:, None] * carried
        means.append(totals / weights)
        total, weight = totals[:, -1], weights[:, -1]
    return torch.cat(means, dim=1), (total, weight)


class BandSplit(PackedModule):
    """Spectrum (B, F, T, 2) -> features (K, B, T, D).

    The compressed spectrum |Y|^0.3 e^{j phase} and its magnitude, divided by their running level:
    scaling the input does not change the features, and quiet frames and bands stay quiet beside
    loud ones (a norm over each band of each frame would hide just that). Per band then a gain and
    bias for each value and a Linear.
    """

    bins: Tensor
    places: Tensor
    spans: Tensor

    def __init__(self, features: int, table: BandTable, framing: Framing) -> None:
        super().__init__()
        self.table, self.decay = table, level_decay(framing.frames_per_second)
        self.register_buffer("bins", band_index(table), persistent=False)
        self.register_buffer("places", place_index(table), persistent=False)
        spans = torch.tensor([(span.start, span.stop) for span in table.spans])
        self.register_buffer("spans", spans, persistent=False)
        self.gain = nn.Parameter(torch.ones(3, BINS))
        self.shift = nn.Parameter(torch.zeros(3, BINS))
        self.weight = nn.Parameter(torch.empty(3, table.places, features))
        self.bias = nn.Parameter(torch.zeros(table.bands, 1, features))
        with torch.no_grad():
            for own in self.weight.split(table.widths, dim=1):
                bound = 1 / math.sqrt(3 * own.shape[1])
                own.uniform_(-bound, bound)

    def forward(self, spectrum: Tensor, state: LevelState | None) -> tuple[Tensor, LevelState]:
        """Features, and the running level to carry over; for inference on the CPU by kernels."""
        return self._fused(spectrum, state) if runs_fused(spectrum) else self.plain(spectrum, state)

    def _fused(self, spectrum: Tensor, state: LevelState | None) -> tuple[Tensor, LevelState]:
        from mbs_cli.models.kernels.band_split import compress_frames, embed_bands

        batch, _, frames, _ = spectrum.shape
        levels = torch.stack(state, dim=1) if state else spectrum.new_zeros(batch, 2)
        values = spectrum.new_empty(batch, frames, 3, BINS)
        by_frame = spectrum.transpose(1, 2)
        run_shared(compress_frames, batch, by_frame, COMPRESSION, self.decay, FLOOR, levels, values)
        bands = self.table.bands
        features = spectrum.new_empty(bands, batch, frames, self.weight.shape[2])
        inputs = (values.flatten(0, 1), *self.packed(), self.spans)
        run_shared(embed_bands, bands, *inputs, features.flatten(1, 2))
        return features, (levels[:, 0], levels[:, 1])

    def pack(self) -> KernelInput:
        """Gain and shift of every value, weight and bias of every band."""
        widths = self.table.widths
        weight = self.weight.new_zeros(len(widths), 3 * max(widths), self.weight.shape[2])
        for band, own in enumerate(self.weight.split(widths, dim=1)):
            weight[band, : own.shape[0] * own.shape[1]] = own.flatten(0, 1)
        return (
            as_array(self.gain),
            as_array(self.shift),
            pack_weight(weight, self.product_dtype),
            pack_columns(self.bias[:, 0]),
        )

    def plain(self, spectrum: Tensor, state: LevelState | None) -> tuple[Tensor, LevelState]:
        """The same in torch, on any device and under autograd."""
        batch, _, frames, _ = spectrum.shape
        values, state = self._compress(spectrum, state)
        values = values * self.gain[:, :, None] + self.shift[:, :, None]
        padded = F.pad(values, (0, 0, 0, 1))  # bin BINS is the zero that fills narrow bands
        bands = self.table.bands
        banded = padded[:, :, self.bins].permute(2, 0, 4, 1, 3).reshape(bands, batch * frames, -1)
        weight = F.pad(self.weight, (0, 0, 0, 1))[:, self.places]  # (3, K, W, D)
        weight = weight.transpose(0, 1).reshape(bands, -1, weight.shape[-1])
        features = torch.baddbmm(self.bias.to(banded.dtype), banded, weight)
        # The encoder adds to what it is given: in full precision, whatever autocast says.
        return features.to(spectrum.dtype).view(bands, batch, frames, -1), state

    def _compress(self, spectrum: Tensor, state: LevelState | None) -> tuple[Tensor, LevelState]:
        """Magnitude, real and imaginary part (B, 3, F, T), compressed and level-normalised."""
        magnitude = spectrum.square().sum(-1).clamp_min(FLOOR**2).sqrt()
        compressed = magnitude**COMPRESSION
        level, state = running_level(compressed.square().mean(1), state, self.decay)
        scale = level.rsqrt()[:, None]
        parts = spectrum * (compressed / magnitude * scale)[..., None]
        return torch.stack([compressed * scale, parts[..., 0], parts[..., 1]], dim=1), state
