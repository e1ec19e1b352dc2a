"""The encoder of MBS-Net: layers along time in every band, layers across the bands of a frame.

Letters: K bands, B batch, T frames, D features.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mbs_cli.models.config import MbsNetConfig
from mbs_cli.models.kernels.launch import run_shared, runs_fused
from mbs_cli.models.layout import Layout
from mbs_cli.models.mamba import MambaLayer
from mbs_cli.models.mixer_training import band_mixer
from mbs_cli.models.packing import KernelInput, PackedModule, as_array, pack_left
from mbs_cli.models.recomputation import run_layer
from mbs_cli.models.row_training import trains_fused
from mbs_cli.models.window import Window

# What one time layer carries from call to call: two tensors, whose meaning is the layer's own.
LayerState = tuple[Tensor, Tensor]

_CPU_SEQUENCES = 8  # of a window that go through a time layer together


def _mamba_layer(config: MbsNetConfig, bidirectional: bool) -> MambaLayer:
    return MambaLayer(
        config.features, config.expand, config.states, config.step_rank, bidirectional
    )


def _overwrite(
    x: Tensor, layer: nn.Module, state: LayerState | None, shown: int, window: Window
) -> LayerState:
    """A time layer's outputs in the place of the first `shown` frames of x (K, B, T, D).

    A few sequences at a time, so that there is never another tensor as large as x.
    """
    look_ahead: Any = layer.look_ahead
    sequences = x.flatten(0, 1)
    count = _CPU_SEQUENCES if x.is_cpu else len(sequences)
    after: list[LayerState] = []
    for start in range(0, len(sequences), count):
        some = slice(start, start + count)
        known = (state[0][some], state[1][some]) if state else None
        y, state_after = look_ahead(sequences[some], known, shown, window)
        sequences[some, :shown] = y
        after.append(state_after)
    return torch.cat([first for first, _ in after]), torch.cat([second for _, second in after])


class LstmLayer(nn.Module):
    """LayerNorm, LSTM over time, Linear, residual: the recurrence that Mamba replaces."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.out_proj = nn.Linear(hidden, features)

    @property
    def way_out(self) -> nn.Linear:
        """The last Linear: what comes out of it is added to the input."""
        return self.out_proj

    def forward(self, x: Tensor, state: LayerState | None = None) -> tuple[Tensor, LayerState]:
        """(S, L, D) -> (S, L, D), and the state after the last step."""
        y, state = self.lstm(self.norm(x), state)
        return torch.add(x, self.out_proj(y)), state


class BandMixer(PackedModule):
    """MLP over the band axis (K -> 2K -> K), the same for every feature, with residual."""

    def __init__(self, features: int, bands: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.expand = nn.Linear(bands, 2 * bands)
        self.reduce = nn.Linear(2 * bands, bands)

    @property
    def way_out(self) -> nn.Linear:
        """The last Linear: what comes out of it is added to the input."""
        return self.reduce

    def forward(self, x: Tensor) -> Tensor:
        """(K, B, T, D) -> (K, B, T, D); for inference on the CPU by one fused kernel."""
        if runs_fused(x):
            return self._fused(x)
        return self._trained(x) if trains_fused(x) else self.plain(x)

    def _trained(self, x: Tensor) -> Tensor:
        norm, expand, reduce = (
            (layer.weight, layer.bias) for layer in (self.norm, self.expand, self.reduce)
        )
        return band_mixer(x, norm, expand, reduce)

    def _fused(self, x: Tensor) -> Tensor:
        from mbs_cli.models.kernels.band_mixer import FRAMES, mix_bands

        y = x.new_empty(x.shape)
        blocks = -(-x.shape[1] * x.shape[2] // FRAMES)
        run_shared(mix_bands, blocks, x.flatten(1), *self.packed(), y.flatten(1))
        return y

    def pack(self) -> KernelInput:
        """Norm, expanding and reducing layer."""
        layers = (self.expand, self.reduce)
        norm = (as_array(self.norm.weight), as_array(self.norm.bias))
        return (
            norm,
            *(pack_left(layer.weight, layer.bias, self.product_dtype) for layer in layers),
        )

    def plain(self, x: Tensor) -> Tensor:
        """The same in torch, on any device and under autograd."""
        columns = self.norm(x).view(len(x), -1)
        hidden = F.gelu(torch.addmm(self.expand.bias[:, None], self.expand.weight, columns))
        mixed = torch.addmm(self.reduce.bias[:, None], self.reduce.weight, hidden)
        return torch.add(x, mixed.view_as(x))


class BandMamba(nn.Module):
    """A bidirectional Mamba layer along the bands of each frame."""

    def __init__(self, config: MbsNetConfig) -> None:
        super().__init__()
        self.layer = _mamba_layer(config, bidirectional=True)

    @property
    def way_out(self) -> nn.Linear:
        """The last Linear: what comes out of it is added to the input."""
        return self.layer.way_out

    def forward(self, x: Tensor) -> Tensor:
        """(K, B, T, D) -> (K, B, T, D)."""
        bands, batch, frames, size = x.shape
        layout = Layout(batch * frames, bands, sequence_stride=1, step_stride=batch * frames)
        if runs_fused(x):
            return self.layer.fused(x, layout)[0]
        if trains_fused(x):
            return self.layer.trained(x, layout)[0]
        sequences = x.permute(1, 2, 0, 3).reshape(batch * frames, bands, size)
        y: Tensor = self.layer(sequences)[0]
        return y.view(batch, frames, bands, size).permute(2, 0, 1, 3).contiguous()


class Encoder(nn.Module):
    """Time layers, with a band layer after every `band_layer_every` of them."""

    def __init__(self, config: MbsNetConfig, checkpoint_activations: bool = False) -> None:
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        self.every = config.band_layer_every
        self.time_layers = nn.ModuleList(self._time_layer(config) for _ in range(config.layers))
        count = 0 if config.band_layer == "none" else config.layers // self.every
        self.band_layers = nn.ModuleList(self._band_layer(config) for _ in range(count))

    @staticmethod
    def _time_layer(config: MbsNetConfig) -> nn.Module:
        if config.time_layer == "lstm":
            return LstmLayer(config.features, config.inner_features)
        return _mamba_layer(config, config.time_layer == "bidirectional-mamba")

    @staticmethod
    def _band_layer(config: MbsNetConfig) -> nn.Module:
        if config.band_layer == "mlp":
            return BandMixer(config.features, config.band_table.bands)
        return BandMamba(config)

    def forward(
        self, x: Tensor, states: list[LayerState] | None = None, window: Window | None = None
    ) -> tuple[Tensor, list[LayerState]]:
        """(K, B, T, D) -> (K, B, T, D), and the state of every time layer after the last frame.

        With a window, for inference by layers that look both ways, only the frames that it shows
        and the states after those that it keeps; x is overwritten.
        """
        if window is not None:
            return self._look_ahead(x, states, window)
        after: list[LayerState] = []
        for place, layer in enumerate(self.time_layers):
            known = states[place] if states else None
            sequences, state = self._run(layer, x.flatten(0, 1), known)
            x = sequences.view_as(x)
            after.append(state)
            band_layer = self.band_layer_after(place)
            if band_layer is not None:
                x = self._run(band_layer, x)
        return x, after

    def _look_ahead(
        self, x: Tensor, states: list[LayerState] | None, window: Window
    ) -> tuple[Tensor, list[LayerState]]:
        after: list[LayerState] = []
        shown = x.shape[2]
        for place, layer in enumerate(self.time_layers):
            known = states[place] if states else None
            if place + 1 == len(self.time_layers):
                shown = window.shown
            after.append(_overwrite(x, layer, known, shown, window))
            band_layer = self.band_layer_after(place)
            if band_layer is not None:
                for piece in window.pieces(shown):
                    x[:, :, piece] = band_layer(x[:, :, piece])
        return x[:, :, :shown], after

    def band_layer_after(self, place: int) -> nn.Module | None:
        """The band layer that follows the time layer of that place, if one does."""
        band_place, rest = divmod(place + 1, self.every)
        if rest or band_place > len(self.band_layers):
            return None
        return self.band_layers[band_place - 1]

    def _run(self, layer: nn.Module, *inputs: Any) -> Any:
        return run_layer(layer, *inputs, recompute=self.checkpoint_activations)
