"""How much louder or softer than wanted a listener hears each band, and how that disturbs.

The ear is that of Zwicker & Fastl, "Psychoacoustics" (1990): critical bands, threshold in quiet,
specific loudness. The judgement follows the ideas of perceptual speech quality (Beerends &
Stemerdink, J. Audio Eng. Soc. 42, 1994; Rix et al., ICASSP 2001; as a loss: Martin-Donas et al.,
IEEE Signal Processing Letters 25, 2018): small differences are masked by what is heard anyway,
what is added disturbs more than what is missing, and the worst frames of a moment decide.

Letters: B batch, F = 257 frequency bins, T frames, K = 42 bands of half a Bark.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mbs_cli.audio.parameters import BINS, SAMPLE_RATE_HZ

_BAND_BARK = 0.5
_LISTENING_DB = 79.0  # sound pressure level of what is wanted
_EXPONENT = 0.23  # of loudness by intensity
_SONE_HZ, _SONE_DB = 1000.0, 40.0  # this tone has a loudness of 1 sone
_MASKED = 0.25  # of the softer loudness: a smaller difference is not heard
_ADDED_EXPONENT, _ADDED_LEAST, _ADDED_MOST = 1.2, 3.0, 12.0  # weight by the ratio of intensities
_ADDED_FLOOR = 50.0
_GAIN_FLOOR = 5e3  # a frame that is too loud is made as loud as wanted first, but
_GAIN_LEAST = 0.1  # by no more than 10 dB, so that noise in pauses counts
_LOUD_FLOOR, _LOUD, _LOUD_EXPONENT = 1e5, 1e7, 0.04  # in loud frames the same disturbs less
_DISTURBANCE_MOST = 45.0  # of one frame
_MOMENT_SECONDS = 0.64  # half overlapped
_MOMENT_EXPONENT = 6
_DIFFERENCE_POINTS, _ADDITION_POINTS = 0.1, 0.0309  # Rix et al.
_FLOOR = 1e-6


def loudness_error(heard: Tensor, wanted: Tensor, frames_per_second: float) -> Tensor:
    """Points lost on a scale of opinion, 0 to about 4, for powers |z|^2 (B, F, T): (B,).

    Both are scaled as brings what is wanted, which must not be silent, to the level of listening.
    """
    bands, threshold = _ear(heard.device)
    scale = 10 ** (_LISTENING_DB / 10) / wanted.sum(1).mean(1).clamp_min(_FLOOR)[:, None, None]
    heard, wanted = bands @ (heard * scale), bands @ (wanted * scale)  # (B, K, T)
    level = _audible(wanted, threshold)  # (B, 1, T)
    gain = (level + _GAIN_FLOOR) / (_audible(heard, threshold) + _GAIN_FLOOR)
    heard = heard * gain.clamp(_GAIN_LEAST, 1)

    heard_sone, wanted_sone = _loudness(heard, threshold), _loudness(wanted, threshold)
    masked = _MASKED * torch.minimum(heard_sone, wanted_sone)
    difference = ((heard_sone - wanted_sone).abs() - masked).clamp_min(0)
    added = ((heard + _ADDED_FLOOR) / (wanted + _ADDED_FLOOR)) ** _ADDED_EXPONENT
    added = torch.where(added < _ADDED_LEAST, 0.0, added.clamp_max(_ADDED_MOST))
    whole = _BAND_BARK * len(threshold)
    tolerance = ((level[:, 0] + _LOUD_FLOOR) / _LOUD) ** _LOUD_EXPONENT
    differences = whole * (difference.square().mean(1) + _FLOOR).sqrt() / tolerance
    additions = whole * (difference * added).mean(1) / tolerance
    moment = round(_MOMENT_SECONDS * frames_per_second)
    lost = _DIFFERENCE_POINTS * _over_time(differences, moment)
    return lost + _ADDITION_POINTS * _over_time(additions, moment)


@cache
def _ear(device: torch.device) -> tuple[Tensor, Tensor]:
    """The share of each bin in each band (K, F) and the threshold in quiet, an intensity (K, 1)."""
    edges_hz = (torch.arange(BINS + 1) - 0.5) * SAMPLE_RATE_HZ / 2 / (BINS - 1)
    edges = _bark(edges_hz.clamp(0, SAMPLE_RATE_HZ / 2)).clamp_min(0)
    low = torch.arange(0, float(edges[-1]), _BAND_BARK)[:, None]
    overlap = torch.minimum(low + _BAND_BARK, edges[1:]) - torch.maximum(low, edges[:-1])
    bands = overlap.clamp_min(0) / (edges[1:] - edges[:-1]).clamp_min(_FLOOR)
    middle = low + _BAND_BARK / 2
    threshold = _threshold(1960 * (middle + 0.53) / (26.28 - middle))
    return bands.to(device), threshold.to(device)


def _bark(hertz: Tensor) -> Tensor:
    """Traunmueller, J. Acoust. Soc. Am. 88 (1990)."""
    return 26.81 * hertz / (1960 + hertz) - 0.53


def _threshold(hertz: Tensor) -> Tensor:
    """The softest intensity that is heard (Terhardt, Hearing Research 1, 1979)."""
    k = hertz / 1000
    decibels = 3.64 * k**-0.8 - 6.5 * torch.exp(-0.6 * (k - 3.3).square()) + 1e-3 * k**4
    return 10 ** (decibels / 10)


def _audible(intensity: Tensor, threshold: Tensor) -> Tensor:
    """The sum of what is above the threshold: (B, K, T) -> (B, 1, T)."""
    return torch.where(intensity > threshold, intensity, 0.0).sum(1, keepdim=True)


def _loudness(intensity: Tensor, threshold: Tensor) -> Tensor:
    """Zwicker's specific loudness in sone per Bark."""
    return _zwicker(intensity, threshold) / _sone()


@cache
def _sone() -> float:
    """The loudness of 1 sone before scaling."""
    tone = torch.tensor(10 ** (_SONE_DB / 10))
    return float(_zwicker(tone, _threshold(torch.tensor(_SONE_HZ)))) * _BAND_BARK


def _zwicker(intensity: Tensor, threshold: Tensor) -> Tensor:
    excess = (0.5 + 0.5 * intensity / threshold).clamp_min(1)
    return threshold**_EXPONENT * (excess**_EXPONENT - 1)


def _over_time(frames: Tensor, moment: int) -> Tensor:
    """Root mean square over moments of so many frames of what the worst make of each: (B,).

    frames: (B, T).
    """
    frames = F.pad(frames.clamp_max(_DISTURBANCE_MOST), (0, max(0, moment - frames.shape[1])))
    moments = frames.unfold(1, moment, moment // 2)
    worst = (moments + _FLOOR).pow(_MOMENT_EXPONENT).mean(2) ** (1 / _MOMENT_EXPONENT)
    return (worst.square().mean(1) + _FLOOR).sqrt()
