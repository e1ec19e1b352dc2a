"""A network that guesses the PESQ of an estimate from what it sounds like beside the target.

The metric discriminator of CMGAN (Abdulatif et al., arXiv 2209.11112), after MetricGAN (Fu et al.,
arXiv 1905.04874). Letters: B batch, F frequency bins, T frames.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_KERNEL, _STRIDE, _PADDING = 4, 2, 1


class Discriminator(nn.Module):
    """Score in 0..1 of each pair of compressed magnitudes; 1 stands for a perfect estimate.

    Its dropout layer is left out, so that nothing here depends on a random state.
    """

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        widths = [2, channels, 2 * channels, 4 * channels, 8 * channels]
        self.convolutions = nn.Sequential(
            *(_block(before, after) for before, after in pairwise(widths))
        )
        self.score = nn.Sequential(
            spectral_norm(nn.Linear(8 * channels, 4 * channels)),
            nn.PReLU(4 * channels),
            spectral_norm(nn.Linear(4 * channels, 1)),
        )
        self.slope = nn.Parameter(torch.ones(1))  # of the sigmoid

    def forward(self, target: Tensor, estimate: Tensor) -> Tensor:
        """Scores (B,) of estimates beside their targets, both (B, F, T) with F and T above 15."""
        features = self.convolutions(torch.stack((target, estimate), 1)).amax((2, 3))
        score: Tensor = torch.sigmoid(self.slope * self.score(features).squeeze(1))
        return score


def _block(channels_before: int, channels_after: int) -> nn.Sequential:
    """Half as many bins and frames."""
    return nn.Sequential(
        spectral_norm(
            nn.Conv2d(channels_before, channels_after, _KERNEL, _STRIDE, _PADDING, bias=False)
        ),
        nn.InstanceNorm2d(channels_after, affine=True),
        nn.PReLU(channels_after),
    )
