"""What the parts of the loss are computed from, each quantity once and only if it is wanted.

Letters: B batch, S samples, F frequency bins, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from mbs_cli.audio.parameters import Framing
from mbs_cli.audio.stft import istft, stft

_COMPRESSION = 0.3
_REFERENCE_RMS = 0.1
# Power below which a bin counts as this: |z|^0.3 has no finite slope at 0. The signals are scaled
# to an RMS of 0.1 first, where a bin of speech has a power of about 1.
_POWER_FLOOR = 1e-8
_SILENT_SHARE = 1e-6  # of the reference level's energy: 60 dB below it


@dataclass(frozen=True)
class Spectra:
    """A spectrum (B, F, T, 2), and compressed as the ear weighs it."""

    spectrum: Tensor

    @cached_property
    def power(self) -> Tensor:
        """|z|^2, above zero everywhere, (B, F, T)."""
        return self.spectrum.square().sum(-1) + _POWER_FLOOR

    @cached_property
    def magnitude(self) -> Tensor:
        """|z|^0.3, (B, F, T)."""
        return self.power ** (_COMPRESSION / 2)

    @cached_property
    def compressed(self) -> Tensor:
        """|z|^0.3 e^{j phase} as real and imaginary part, (B, F, T, 2)."""
        return self.spectrum * (self.magnitude / self.power.sqrt())[..., None]


@dataclass(frozen=True)
class Comparison:
    """What will be heard beside what is wanted, both at the reference level."""

    heard_samples: Tensor  # (B, S)
    wanted_samples: Tensor  # (B, S)
    estimate: Tensor  # (B, F, T, 2), not yet at the reference level
    scale: Tensor  # (B, 1), to the reference level
    framing: Framing  # of all spectra

    @cached_property
    def estimated(self) -> Spectra:
        """Of the estimate itself."""
        return Spectra(self.estimate * self.scale[:, :, None, None])

    @cached_property
    def heard(self) -> Spectra:
        """Of the estimate after iSTFT and STFT: two frames overlap, and only their sum is heard."""
        return Spectra(stft(self.heard_samples, self.framing))

    @cached_property
    def wanted(self) -> Spectra:
        """Of the target."""
        return Spectra(stft(self.wanted_samples, self.framing))


def compare(estimate: Tensor, noisy: Tensor, target: Tensor, framing: Framing) -> Comparison:
    """An estimate (B, F, T, 2) for the inputs noisy (B, S) beside its target (B, S).

    Every item is scaled by the level of its noisy input, so that quiet items count as much as
    loud ones.
    """
    scale = level_scale(noisy)
    heard = istft(estimate, noisy.shape[1], framing) * scale
    return Comparison(heard, target * scale, estimate, scale, framing)


def level_scale(noisy: Tensor) -> Tensor:
    """What brings each of the inputs (B, S) to the reference level, (B, 1)."""
    rms = noisy.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)
    return _REFERENCE_RMS / rms


def is_audible(samples: Tensor) -> Tensor:
    """Which of the signals (B, S), at the reference level, are more than silence: (B,)."""
    return samples.square().mean(1) > _SILENT_SHARE * _REFERENCE_RMS**2
