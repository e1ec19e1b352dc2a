"""From a spectrum to features per band: level normalisation, compression, band split.

Letters: B batch, F = 257 frequency bins, T frames, K = 31 bands, D features.
Everything inside a model is laid out (K, B, T, D): then the sequences of a time layer lie in one
piece, and what differs from band to band is one batched matrix product over K.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.audio.parameters import FRAMES_PER_SECOND
from mbs_cli.models.bands import BAND_WIDTHS, BANDS, BINS
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
_DECAY = math.exp(-1.0 / (LEVEL_SECONDS * FRAMES_PER_SECOND))
_LEVEL_BLOCK = 256  # frames of the running level computed by one matrix product
FLOOR = 1e-10  # magnitudes below count as this: a power of 0.3 has no finite slope at 0

# What the running level carries: decayed sum of frame levels and of their weights, (B,) each.
LevelState = tuple[Tensor, Tensor]


def band_index() -> Tensor:
    """For each band and place in it the bin (K, 17), or BINS where the band is narrower."""
    index = torch.full((BANDS, max(BAND_WIDTHS)), BINS)
    first = 0
    for band, width in enumerate(BAND_WIDTHS):
        index[band, :width] = torch.arange(first, first + width)
        first += width
    return index


def running_level(frame_levels: Tensor, state: LevelState | None) -> tuple[Tensor, LevelState]:
    """Exponentially weighted mean over the frames so far, of frame_levels (B, T): (B, T).

    The weights are renormalised at the start, as in Adam, so that the first frame already has its
    own level. Feeding the frames in pieces gives the same as feeding them at once.
    """
    total, weight = state or (torch.zeros_like(frame_levels[:, 0]),) * 2
    means = []
    for block in frame_levels.split(_LEVEL_BLOCK, dim=1):
        age = torch.arange(block.shape[1], device=block.device)
        lag = age[None, :] - age[:, None]  # [s, t]: how long ago frame s was at frame t
        kernel = torch.where(lag >= 0, _DECAY ** lag.clamp_min(0), 0.0).to(block.dtype)
        carried = _DECAY ** (age + 1.0)
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

    index: Tensor
    first_bins: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("index", band_index(), persistent=False)
        first_bins = torch.tensor((0, *BAND_WIDTHS)).cumsum(0)
        self.register_buffer("first_bins", first_bins, persistent=False)
        self.gain = nn.Parameter(torch.ones(3, BINS))
        self.shift = nn.Parameter(torch.zeros(3, BINS))
        self.weight = nn.Parameter(torch.empty(3, BINS, features))
        self.bias = nn.Parameter(torch.zeros(BANDS, 1, features))
        with torch.no_grad():
            first = 0
            for width in BAND_WIDTHS:
                bound = 1 / math.sqrt(3 * width)
                self.weight[:, first : first + width].uniform_(-bound, bound)
                first += width

    def forward(self, spectrum: Tensor, state: LevelState | None) -> tuple[Tensor, LevelState]:
        """Features, and the running level to carry over; for inference on the CPU by kernels."""
        return self._fused(spectrum, state) if runs_fused(spectrum) else self.plain(spectrum, state)

    def _fused(self, spectrum: Tensor, state: LevelState | None) -> tuple[Tensor, LevelState]:
        from mbs_cli.models.kernels.band_split import compress_frames, embed_bands

        batch, _, frames, _ = spectrum.shape
        levels = torch.stack(state, dim=1) if state else spectrum.new_zeros(batch, 2)
        values = spectrum.new_empty(batch, frames, 3, BINS)
        by_frame = spectrum.transpose(1, 2)
        run_shared(compress_frames, batch, by_frame, COMPRESSION, _DECAY, FLOOR, levels, values)
        features = spectrum.new_empty(BANDS, batch, frames, self.weight.shape[2])
        inputs = (values.flatten(0, 1), *self.packed(), self.first_bins)
        run_shared(embed_bands, BANDS, *inputs, features.flatten(1, 2))
        return features, (levels[:, 0], levels[:, 1])

    def pack(self) -> KernelInput:
        """Gain and shift of every value, weight and bias of every band."""
        weight = self.weight.new_zeros(BANDS, 3 * max(BAND_WIDTHS), self.weight.shape[2])
        for band, own in enumerate(self.weight.split(BAND_WIDTHS, dim=1)):
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
        banded = padded[:, :, self.index].permute(2, 0, 4, 1, 3).reshape(BANDS, batch * frames, -1)
        weight = F.pad(self.weight, (0, 0, 0, 1))[:, self.index]  # (3, K, 17, D)
        weight = weight.transpose(0, 1).reshape(BANDS, -1, weight.shape[-1])
        features = torch.baddbmm(self.bias.to(banded.dtype), banded, weight)
        # The encoder adds to what it is given: in full precision, whatever autocast says.
        return features.to(spectrum.dtype).view(BANDS, batch, frames, -1), state

    def _compress(self, spectrum: Tensor, state: LevelState | None) -> tuple[Tensor, LevelState]:
        """Magnitude, real and imaginary part (B, 3, F, T), compressed and level-normalised."""
        magnitude = spectrum.square().sum(-1).clamp_min(FLOOR**2).sqrt()
        compressed = magnitude**COMPRESSION
        level, state = running_level(compressed.square().mean(1), state)
        scale = level.rsqrt()[:, None]
        parts = spectrum * (compressed / magnitude * scale)[..., None]
        return torch.stack([compressed * scale, parts[..., 0], parts[..., 1]], dim=1), state
