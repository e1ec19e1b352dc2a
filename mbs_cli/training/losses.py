"""The training loss: a weighted sum of what sets an estimate apart from its target.

Letters: B batch, S samples, F frequency bins, T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from mbs_cli.audio.parameters import Framing
from mbs_cli.training.config import WEIGHTS, LossConfig
from mbs_cli.training.loudness_loss import loudness_error
from mbs_cli.training.phase_loss import phase_error
from mbs_cli.training.spectra import Comparison, compare, is_audible, level_scale

_BEST_RATIO = 1e-3  # an error 30 dB below the target earns no more: clean input is not chased
_FLOOR = 1e-8  # of energies in a ratio
# Parts that leave out items with a silent target.
_OF_AUDIBLE = ("si_sdr", "snr", "loudness", "rating", "metric")

Part = Callable[[Comparison], Tensor]


def enhancement_loss(
    estimate: Tensor,
    noisy: Tensor,
    target: Tensor,
    framing: Framing,
    config: LossConfig,
    whole: Mapping[str, Tensor] | None = None,
    networks: Mapping[str, Part] = MappingProxyType({}),
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum to minimise, and its parts before weighting; what has no weight is left out.

    The default weights follow GTCRN (Rong et al., ICASSP 2024).
    estimate (B, F, T, 2) for the inputs noisy (B, S) with targets (B, S). The estimate goes
    through iSTFT and STFT first, so that what is compared is what will be heard. Every item is
    scaled by the level of its noisy input, so that quiet items count as much as loud ones.
    With `whole`, the `averaged_items` of a larger batch, these are a piece of that batch: sums and
    parts are the share that the piece has in its means, and those of all pieces add up to them.
    `networks` has the parts that take a network, `ListenerRating.distance` as "rating" and
    `MetricDiscriminator.term` as "metric".
    """
    comparison = compare(estimate, noisy, target, framing)
    chosen = {**_PARTS, **networks}
    parts = {name: part(comparison) for name, part in chosen.items() if getattr(config, name) > 0}
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
    audible = is_audible(target * level_scale(noisy)).sum().float()
    return dict.fromkeys(WEIGHTS, items) | dict.fromkeys(_OF_AUDIBLE, audible)


def _magnitude_error(comparison: Comparison) -> Tensor:
    return (comparison.heard.magnitude - comparison.wanted.magnitude).square().mean()


def _complex_error(comparison: Comparison) -> Tensor:
    return _mean_square(comparison.heard.compressed - comparison.wanted.compressed)


def _si_sdr(comparison: Comparison) -> Tensor:
    return negative_si_sdr_bels(comparison.heard_samples, comparison.wanted_samples)


def _snr(comparison: Comparison) -> Tensor:
    return negative_snr_bels(comparison.heard_samples, comparison.wanted_samples)


def _time_error(comparison: Comparison) -> Tensor:
    return (comparison.heard_samples - comparison.wanted_samples).abs().mean()


def _phase_error(comparison: Comparison) -> Tensor:
    return phase_error(comparison.heard.spectrum, comparison.wanted.spectrum)


def _inconsistency(comparison: Comparison) -> Tensor:
    """What iSTFT and STFT change of the estimate (SCP-GAN, arXiv 2210.14474)."""
    return _mean_square(comparison.estimated.compressed - comparison.heard.compressed)


def _loudness_error(comparison: Comparison) -> Tensor:
    """Mean over the items whose target is not silence; 0 if all are."""
    audible = is_audible(comparison.wanted_samples)
    points = loudness_error(
        comparison.heard.power, comparison.wanted.power, comparison.framing.frames_per_second
    )
    return torch.where(audible, points, 0.0).sum() / audible.sum().clamp_min(1)


def _over_attenuation(comparison: Comparison) -> Tensor:
    """What is missing from the target's magnitudes; too much is no fault here.

    As the asymmetric loss of TEA-PSE (Ju et al., ICASSP 2022); DPDFNet (arXiv 2512.16420) reports
    that a term against over-attenuation helps.
    """
    missing = comparison.wanted.magnitude - comparison.heard.magnitude
    return missing.clamp_min(0).square().mean()


_PARTS: dict[str, Part] = {
    "magnitude": _magnitude_error,
    "complex": _complex_error,
    "si_sdr": _si_sdr,
    "snr": _snr,
    "time": _time_error,
    "phase": _phase_error,
    "consistency": _inconsistency,
    "over_attenuation": _over_attenuation,
    "loudness": _loudness_error,
}


def _mean_square(difference: Tensor) -> Tensor:
    """Of complex values as (B, F, T, 2)."""
    return difference.square().sum(-1).mean()


def negative_si_sdr_bels(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean of -log10 of the scale-invariant ratio (Le Roux et al., arXiv 1811.02508).

    Items whose target is silence have no such ratio and are left out; 0 if all are.
    """
    energy = target.square().sum(1, keepdim=True).clamp_min(_FLOOR)
    projection = (estimate * target).sum(1, keepdim=True) / energy * target
    return _negative_ratio_bels(projection, estimate - projection, is_audible(target))


def negative_snr_bels(estimate: Tensor, target: Tensor) -> Tensor:
    """As `negative_si_sdr_bels`, but a wrong level is an error, too."""
    return _negative_ratio_bels(target, estimate - target, is_audible(target))


def _negative_ratio_bels(signal: Tensor, error: Tensor, audible: Tensor) -> Tensor:
    """Mean of -log10 of the ratio of energies of signal and error (B, S) over what is audible."""
    wanted, unwanted = signal.square().sum(1), error.square().sum(1)
    bels = torch.log10((wanted + _FLOOR) / (unwanted + _BEST_RATIO * wanted + _FLOOR))
    return -torch.where(audible, bels, 0.0).sum() / audible.sum().clamp_min(1)
