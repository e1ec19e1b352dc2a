"""MBS-Net: band split, selective state-space encoder, magnitude and phase decoders.

Letters: B batch, F = 257 frequency bins, T frames. Spectra are real views (B, F, T, 2) of the
uncompressed STFT (`mbs_cli.audio.stft`); no complex tensor appears in the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mbs_cli.audio.parameters import Framing
from mbs_cli.errors import UsageError
from mbs_cli.models.band_split import BandSplit, LevelState
from mbs_cli.models.config import MbsNetConfig
from mbs_cli.models.decoders import ComplexDecoder, MagnitudeDecoder, PhaseDecoder, rotate
from mbs_cli.models.encoder import Encoder, LayerState
from mbs_cli.models.kernels.launch import one_thread, runs_fused
from mbs_cli.models.window import Window

# Frames of all signals of a batch together: so few that threads do not pay, so many that what
# every call costs does not count; more would only take more memory.
_FEW_FRAMES, _BLOCK_FRAMES = 8, 250
_PAST_FRAMES = ComplexDecoder.TAPS - 1


@dataclass(frozen=True)
class State:
    """Everything that a causal model remembers of the frames it has seen."""

    level: LevelState
    layers: list[LayerState]
    past_frames: Tensor  # (B, F, 2, 2): the last two input frames, for the complex decoder


class MbsNet(nn.Module):
    """One class for all MBS-Net presets; the config says which."""

    def __init__(self, config: MbsNetConfig, checkpoint_activations: bool = False) -> None:
        super().__init__()
        self.config = config
        sizes = (config.features, config.decoder_hidden, config.band_table)
        self.band_split = BandSplit(config.features, config.band_table, config.framing)
        self.encoder = Encoder(config, checkpoint_activations)
        self.phase_encoder: Encoder | None = None
        if config.branches == "dual":
            self.phase_encoder = Encoder(config, checkpoint_activations)
        self.magnitude: MagnitudeDecoder | None = None
        self.phase: PhaseDecoder | None = None
        self.complex: ComplexDecoder | None = None
        if config.decoder == "complex-3-tap":
            self.complex = ComplexDecoder(*sizes)
        else:
            self.magnitude = MagnitudeDecoder(*sizes)
        if config.decoder == "magnitude-phase":
            self.phase = PhaseDecoder(*sizes)

    @property
    def is_causal(self) -> bool:
        """Whether no output frame depends on a later input frame, so that `stream` works."""
        return self.config.is_causal

    @property
    def framing(self) -> Framing:
        """How the signals behind the spectra are cut into frames."""
        return self.config.framing

    def forward(self, spectrum: Tensor) -> Tensor:
        """The clean estimate (B, F, T, 2) of a whole utterance (B, F, T, 2)."""
        if not runs_fused(spectrum):
            return self._run(spectrum, None)[0]
        if self.is_causal:
            return self._run_in_blocks(spectrum, None)[0]
        return self.look_ahead(spectrum, None, spectrum.shape[2], spectrum.shape[2])[0]

    def stream(self, spectrum: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `forward`, for the next T >= 1 frames of an endless signal.

        Pass the state returned by the call before (None at the start): pieces give what the whole
        gives. Raises UsageError if the model looks ahead in time.
        """
        if not self.is_causal:
            raise UsageError(
                "this model looks both ways in time, so it cannot run as a stream",
                "use a causal preset such as mbs-net, or enhance whole files",
            )
        if not runs_fused(spectrum):
            return self._run(spectrum, state)
        if spectrum.shape[0] * spectrum.shape[2] > _FEW_FRAMES:
            return self._run_in_blocks(spectrum, state)
        with one_thread():
            return self._run(spectrum, state)

    def look_ahead(
        self, spectrum: Tensor, state: State | None, kept: int, shown: int
    ) -> tuple[Tensor, State]:
        """As `forward`, for the next T frames of a signal of any length, if the model looks ahead.

        Returns the estimates of the first `shown` frames and the state after the first `kept`;
        0 < kept <= shown <= T. Pass it with the frames from there on. The past is then exact, and
        the future is what lies within the T frames. For inference only.
        """
        assert not self.is_causal
        batch, bins, frames, _ = spectrum.shape
        most = max(1, _BLOCK_FRAMES // batch) if runs_fused(spectrum) else frames
        window = Window(kept, shown, most)
        features, level = self._split_bands(spectrum, state, window)
        encoded, phase_features, layers = self._encode(features, state, window)
        padded = torch.cat([self._past_frames(spectrum, state), spectrum[:, :, :shown]], dim=2)
        estimate = spectrum.new_empty(batch, shown, bins, 2).transpose(1, 2)
        for piece in window.pieces(shown):
            past = padded[:, :, piece.start : piece.start + _PAST_FRAMES]
            estimate[:, :, piece] = self._decode(
                encoded[:, :, piece], phase_features[:, :, piece], spectrum[:, :, piece], past
            )
        past = padded[:, :, kept : kept + _PAST_FRAMES].clone()
        return estimate, State(level, layers, past)

    def _split_bands(
        self, spectrum: Tensor, state: State | None, window: Window
    ) -> tuple[Tensor, LevelState]:
        """Features (K, B, T, D) and the level after the kept frames."""
        batch, _, frames, _ = spectrum.shape
        features = spectrum.new_empty(
            self.config.band_table.bands, batch, frames, self.config.features
        )

        def advance(piece: slice, level: LevelState | None) -> LevelState:
            features[:, :, piece], level = self.band_split(spectrum[:, :, piece], level)
            return level

        return features, window.carry(frames, state.level if state else None, advance)

    def _run_in_blocks(self, spectrum: Tensor, state: State | None) -> tuple[Tensor, State]:
        """As `_run`, in blocks of frames."""
        frames = max(_FEW_FRAMES, _BLOCK_FRAMES // spectrum.shape[0])
        estimates = []
        for block in spectrum.split(frames, dim=2):
            estimate, state = self._run(block, state)
            estimates.append(estimate.transpose(1, 2))  # as `stft` has it: frames lie in one piece
        assert state is not None
        return torch.cat(estimates, dim=1).transpose(1, 2), state

    def _run(self, spectrum: Tensor, state: State | None) -> tuple[Tensor, State]:
        features, level = self.band_split(spectrum, state.level if state else None)
        encoded, phase_features, layers = self._encode(features, state)
        past = self._past_frames(spectrum, state)
        estimate = self._decode(encoded, phase_features, spectrum, past)
        past = torch.cat([past, spectrum], dim=2)[:, :, -_PAST_FRAMES:]
        return estimate, State(level, layers, past)

    def _encode(
        self, features: Tensor, state: State | None, window: Window | None = None
    ) -> tuple[Tensor, Tensor, list[LayerState]]:
        """What the decoders of magnitude and phase get, and the states of all time layers."""
        known = state.layers if state else None
        split_at = self.config.layers
        states = known[:split_at] if known else None
        if self.phase_encoder is None:
            encoded, layers = self.encoder(features, states, window)
            return encoded, encoded, layers
        own = features if window is None else features.clone()  # what a window gets is overwritten
        encoded, layers = self.encoder(own, states, window)
        phase_states = known[split_at:] if known else None
        phase_features, more = self.phase_encoder(features, phase_states, window)
        return encoded, phase_features, layers + more

    @staticmethod
    def _past_frames(spectrum: Tensor, state: State | None) -> Tensor:
        if state is not None:
            return state.past_frames
        return spectrum.new_zeros(*spectrum.shape[:2], _PAST_FRAMES, 2)

    def _decode(
        self, encoded: Tensor, phase_features: Tensor, spectrum: Tensor, past: Tensor
    ) -> Tensor:
        if self.complex is not None:
            estimate: Tensor = self.complex(encoded, spectrum, past)
            return estimate
        assert self.magnitude is not None
        estimate = spectrum * self.magnitude(encoded)[..., None]
        return estimate if self.phase is None else rotate(estimate, self.phase(phase_features))
