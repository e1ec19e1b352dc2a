"""The training loss: compressed spectra as the ear weighs them, and the waveform.

Letters: B batch, S samples, F frequency bins, T frames.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mbs_cli.audio.stft import istft, stft
from mbs_cli.training.config import LossConfig

_COMPRESSION = 0.3
# Power below which a bin counts as this: |z|^0.3 has no finite slope at 0. The signals are scaled
# to an RMS of 0.1 first, where a bin of speech has a power of about 1.
_POWER_FLOOR = 1e-8
_REFERENCE_RMS = 0.1
_BEST_RATIO = 1e-3  # an error 30 dB below the target earns no more: clean input is not chased


def enhancement_loss(
    estimate: Tensor,
    noisy: Tensor,
    target: Tensor,
    config: LossConfig,
    whole: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum to minimise, and its parts before weighting.

    The weights follow GTCRN (Rong et al., ICASSP 2024).
    estimate (B, F, T, 2) for the inputs noisy (B, S) with targets (B, S). The estimate goes
    through iSTFT and STFT first, so that what is compared is what will be heard. Every item is
    scaled by the level of its noisy input, so that quiet items count as much as loud ones.
    With `whole`, the `averaged_items` of a larger batch, these are a piece of that batch: sums and
    parts are the share that the piece has in its means, and those of all pieces add up to them.
    """
    scale = _level_scale(noisy)
    heard = istft(estimate, noisy.shape[1]) * scale
    wanted = target * scale
    heard_magnitude, heard_parts = _compress(stft(heard))
    wanted_magnitude, wanted_parts = _compress(stft(wanted))
    parts = {
        "magnitude": (heard_magnitude - wanted_magnitude).square().mean(),
        "complex": (heard_parts - wanted_parts).square().sum(-1).mean(),
        "si_sdr": negative_si_sdr_bels(heard, wanted),
    }
    if whole is not None:
        counts = averaged_items(noisy, target)
        parts = {
            name: part * (counts[name] / whole[name].clamp_min(1)) for name, part in parts.items()
        }
    total = sum(getattr(config, name) * part for name, part in parts.items())
    assert isinstance(total, Tensor)
    return total, parts


def averaged_items(noisy: Tensor, target: Tensor) -> dict[str, Tensor]:
    """How many items of a batch (B, S) each part of the loss is the mean of, as float scalars."""
    items = torch.tensor(float(len(noisy)), device=noisy.device)
    audible = _is_audible(target * _level_scale(noisy)).sum().float()
    return {"magnitude": items, "complex": items, "si_sdr": audible}


def _level_scale(noisy: Tensor) -> Tensor:
    """What brings each of the inputs (B, S) to the reference level, (B, 1)."""
    rms = noisy.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)
    return _REFERENCE_RMS / rms


def _is_audible(target: Tensor) -> Tensor:
    """Which of the scaled targets (B, S) are not silence, (B,)."""
    return target.square().sum(1) > 1e-6 * target.shape[1] * _REFERENCE_RMS**2


def _compress(spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitude (B, F, T) and parts (B, F, T, 2) of |z|^0.3 e^{j phase}."""
    power = spectrum.square().sum(-1) + _POWER_FLOOR
    magnitude = power ** (_COMPRESSION / 2)
    return magnitude, spectrum * (magnitude / power.sqrt())[..., None]


def negative_si_sdr_bels(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean of -log10 of the scale-invariant ratio (Le Roux et al., arXiv 1811.02508).

    Items whose target is silence have no such ratio and are left out; 0 if all are.
    """
    audible = _is_audible(target)
    if not bool(audible.any()):
        return estimate.sum() * 0.0
    estimate, target = estimate[audible], target[audible]
    energy = target.square().sum(1)
    projection = (estimate * target).sum(1, keepdim=True) / energy[:, None] * target
    signal = projection.square().sum(1)
    error = (estimate - projection).square().sum(1)
    return -torch.log10((signal + 1e-8) / (error + _BEST_RATIO * signal + 1e-8)).mean()
