"""How far the phase of a spectrum is from another's, safe where there is no phase.

Letters: B batch, F frequency bins, T frames.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# A bin of this power counts half. The slope of a phase grows as 1 / |z|: unweighted, the bins that
# nobody hears would decide the gradient.
_HALF_POWER = 1e-4
_LEAST_WEIGHT = 1e-3  # below it a bin has no phase: atan2 has no slope at (0, 0)


def phase_error(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean anti-wrapped error, in radians, of phase, group delay and angular frequency, summed.

    The three of MP-SENet (Lu et al., arXiv 2305.13686): the differences of the phase itself, of its
    steps along frequency and of its steps along time, each taken as the distance to the nearest
    multiple of 2 pi. Unlike there, every bin is weighted by how audible it is in both spectra
    (B, F, T, 2), of signals with an RMS of 0.1; the weights have no gradient.
    """
    difference, weight = _phase_difference(estimate, target)
    along_frequency = (difference[:, 1:] - difference[:, :-1], weight[:, 1:] * weight[:, :-1])
    along_time = (difference[..., 1:] - difference[..., :-1], weight[..., 1:] * weight[..., :-1])
    total = (weight * difference.abs()).mean()
    for steps, weights in (along_frequency, along_time):
        total = total + (weights * _wrapped(steps).abs()).mean()
    return total


def _phase_difference(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Phase of the estimate minus phase of the target, in -pi..pi, and its weight in 0..1."""
    estimate_real, estimate_imaginary = estimate.unbind(-1)
    target_real, target_imaginary = target.unbind(-1)
    with torch.no_grad():
        scale = _audibility(estimate) * _audibility(target)
    real = (estimate_real * target_real + estimate_imaginary * target_imaginary) * scale
    imaginary = (estimate_imaginary * target_real - estimate_real * target_imaginary) * scale
    weight = torch.hypot(real, imaginary).detach()
    has_phase = weight > _LEAST_WEIGHT
    difference = torch.atan2(
        torch.where(has_phase, imaginary, 0.0), torch.where(has_phase, real, 1.0)
    )
    return difference, torch.where(has_phase, weight, 0.0)


def _audibility(spectrum: Tensor) -> Tensor:
    """What brings loud bins to a magnitude of 1 and leaves quiet ones below, (B, F, T)."""
    return (spectrum.square().sum(-1) + _HALF_POWER).rsqrt()


def _wrapped(angle: Tensor) -> Tensor:
    """The same angle in -pi..pi."""
    return angle - 2 * math.pi * torch.round(angle / (2 * math.pi))
