"""Between bins and bands, and complex products, as parts of an ONNX graph.

Letters: B signals, F = 257 frequency bins, T frames, K bands of up to W bins, M places (the bins of
all bands, `mbs_cli.models.bands`), V values of a bin or place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mbs_cli.audio.parameters import BINS
from mbs_cli.models.onnx.graph import Value
from mbs_cli.models.onnx.layers import array


def by_band(values: Tensor, places: Tensor) -> Tensor:
    """Weights (V, M, N) of each place as (K, W, V, N), zero where a band is narrower.

    `places` (K, W) is that of `mbs_cli.models.band_split.place_index`.
    """
    padded = torch.cat([values, torch.zeros_like(values[:, :1])], dim=1)
    return padded[:, places].movedim(0, 2)


def split_bins(values: Value, bins: Tensor, places: Tensor, weight: Tensor, bias: Tensor) -> Value:
    """Per band a Linear of all values (T, B, F, V) of its bins (K, W): (T, B, K, D).

    weight (V, M, D), bias (K, 1, D). What fills narrow bands is some bin or other, with weight 0.
    """
    bands, widest = bins.shape
    inputs = widest * weight.shape[0]
    indices = array(bins.clamp_max(BINS - 1).flatten())
    banded = values.apply("Gather", indices, axis=2).reshape(0, 0, bands, inputs)
    flat = banded.transpose(2, 0, 1, 3).reshape(0, -1, inputs)  # (K, T B, W V)
    features = flat @ array(by_band(weight, places).flatten(1, 2)) + array(bias)
    return features.transpose(1, 0, 2).reshape(values.lengths(0, 2), bands, weight.shape[2])


def join_bands(hidden: Value, places: Tensor, weight: Tensor, spectrum: Value) -> Value:
    """Per band a Linear from hidden features (K, T B, H) to the values of places (T, B, M, V).

    weight (V, M, H). T and B are those of `spectrum` (T, B, ...).
    """
    by_place = by_band(weight, places).movedim(-1, 1).flatten(2)  # (K, H, W V)
    banded = (hidden @ array(by_place)).transpose(1, 0, 2)
    values = banded.reshape(spectrum.lengths(0, 2), places.numel(), weight.shape[0])
    used = (places.flatten() < weight.shape[1]).nonzero()[:, 0]
    return values.apply("Gather", array(used), axis=2)


def share_bins(placed: Value, deciding: Tensor, shares: Tensor) -> Value:
    """The values of bins (T, B, F, V), each the sum of those of its places, times their shares.

    placed (T, B, M, V); deciding and shares (P, F) as `mbs_cli.models.decoders.shares_of_bins`
    gives them.
    """
    total: Value | None = None
    for places, own in zip(deciding, shares, strict=True):
        part = placed.apply("Gather", array(places), axis=2) * array(own[:, None])
        total = part if total is None else total + part
    assert total is not None
    return total


def rotate(spectrum: Value, factor: Value) -> Value:
    """The complex product of two real views (..., 2)."""
    real, imaginary = spectrum.split([1, 1])
    cosine, sine = factor.split([1, 1])
    turned = (real * cosine - imaginary * sine, real * sine + imaginary * cosine)
    return spectrum.graph.concat(*turned, axis=-1)
