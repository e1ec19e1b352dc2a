"""Between bins and bands, and complex products, as parts of an ONNX graph.

Letters: B signals, F = 257 frequency bins, T frames, K = 31 bands of up to 17 bins.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mbs_cli.models.bands import BAND_WIDTHS, BANDS, BINS
from mbs_cli.models.onnx.graph import Value
from mbs_cli.models.onnx.layers import array

WIDEST = max(BAND_WIDTHS)


def by_band(values: Tensor, index: Tensor) -> Tensor:
    """Weights (V, F, N) of each bin as (K, 17, V, N), zero where a band is narrower.

    `index` is that of `mbs_cli.models.band_split.band_index`.
    """
    padded = torch.cat([values, torch.zeros_like(values[:, :1])], dim=1)
    return padded[:, index].movedim(0, 2)


def split_bins(values: Value, index: Tensor, weight: Tensor, bias: Tensor) -> Value:
    """Per band a Linear of all values (T, B, F, V) of its bins: (T, B, K, D).

    weight (V, F, D), bias (K, 1, D). What fills narrow bands is some bin or other, with weight 0.
    """
    inputs = WIDEST * weight.shape[0]
    bins = array(index.clamp_max(BINS - 1).flatten())
    banded = values.apply("Gather", bins, axis=2).reshape(0, 0, BANDS, inputs)
    flat = banded.transpose(2, 0, 1, 3).reshape(0, -1, inputs)  # (K, T B, 17 V)
    features = flat @ array(by_band(weight, index).flatten(1, 2)) + array(bias)
    return features.transpose(1, 0, 2).reshape(values.lengths(0, 2), BANDS, weight.shape[2])


def join_bins(hidden: Value, index: Tensor, weight: Tensor, spectrum: Value) -> Value:
    """Per band a Linear from hidden features (K, T B, H) to the values of its bins (T, B, F, V).

    weight (V, F, H). T and B are those of `spectrum` (T, B, ...).
    """
    by_place = by_band(weight, index).movedim(-1, 1).flatten(2)  # (K, H, 17 V)
    banded = (hidden @ array(by_place)).transpose(1, 0, 2)
    values = banded.reshape(spectrum.lengths(0, 2), BANDS * WIDEST, weight.shape[0])
    places = (index.flatten() < BINS).nonzero()[:, 0]
    return values.apply("Gather", array(places), axis=2)


def rotate(spectrum: Value, factor: Value) -> Value:
    """The complex product of two real views (..., 2)."""
    real, imaginary = spectrum.split([1, 1])
    cosine, sine = factor.split([1, 1])
    turned = (real * cosine - imaginary * sine, real * sine + imaginary * cosine)
    return spectrum.graph.concat(*turned, axis=-1)
