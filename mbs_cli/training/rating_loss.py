"""How much better listeners would rate the clean speech, as the network of DNSMOS guesses it.

DNSMOS P.835 (Reddy et al., ICASSP 2022) was trained on ratings of what noise suppressors put out:
speech, background and overall, 1 to 5 points each. Its network, from the package `speechmos`, is
computed here in torch, so that its guess has a gradient. Only what the target is rated better by
is a loss: nothing is to be gained by sounding "better" than clean speech. Whoever trains with it
has no use for DNSMOS as a measure of what came out; PESQ, STOI, SI-SDR and ears are left.

Letters: B batch, S samples, T frames of 20 ms every 10 ms, F frequency bins.
"""

from __future__ import annotations

from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mbs_cli.errors import UsageError
from mbs_cli.training.spectra import Comparison, is_audible

_HOP, _FRAME = 160, 320
_POWER_FLOOR = 1e-12
_CONVOLUTIONS = ("conv2d", *(f"conv2d_{number}" for number in range(1, 7)))
_POOLED_AFTER = ("conv2d_3", "conv2d_4", "conv2d_5")
_DENSE = ("dense", "dense_1", "dense_3")
# From what the network says to points, per rating: a x^2 + b x + c, as in the package.
_TO_POINTS = (
    (-0.08397278, 1.22083953, 0.0052439),  # speech
    (-0.13166888, 1.60915514, -0.39604546),  # background
    (-0.06766283, 1.11546468, 0.04602535),  # overall
)
_INSTALL = "pip install speechmos onnx"


class ListenerRating(nn.Module):
    """The network of DNSMOS P.835 with its weights; nothing of it is trained."""

    def __init__(self) -> None:
        """Raises UsageError if the packages that hold and read the weights are not installed."""
        super().__init__()
        for name, value in _weights().items():
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("to_points", torch.tensor(_TO_POINTS), persistent=False)

    def ratings(self, samples: Tensor) -> Tensor:
        """Speech, background and overall of signals (B, S) at 16 kHz, in points: (B, 3)."""
        frames = samples.unfold(1, _FRAME, _HOP)  # (B, T, 320)
        real, imaginary = frames @ self._of("stft_real"), frames @ self._of("stft_imag")
        power = (real.square() + imaginary.square()).clamp_min(_POWER_FLOOR)
        x = power.log10()[:, None]  # (B, 1, T, F)
        for name in _CONVOLUTIONS:
            x = F.conv2d(x, self._of(f"{name}_kernel"), self._of(f"{name}_bias"), padding=1)
            x = F.relu(x, inplace=True)  # the maps are large, and this holds half as many
            x = F.max_pool2d(x, 2) if name in _POOLED_AFTER else x
        x = x.amax((2, 3))
        for name in _DENSE:
            x = x @ self._of(f"{name}_kernel") + self._of(f"{name}_bias")
            x = x if name == _DENSE[-1] else F.relu(x)
        a, b, c = self._of("to_points").unbind(1)
        return (a * x + b) * x + c

    def distance(self, comparison: Comparison) -> Tensor:
        """Points that the targets are rated better by, mean over the ratings and audible items."""
        audible = is_audible(comparison.wanted_samples)
        with torch.no_grad():
            wanted = self.ratings(comparison.wanted_samples)
        missing = (wanted - self.ratings(comparison.heard_samples)).clamp_min(0).mean(1)
        return torch.where(audible, missing, 0.0).sum() / audible.sum().clamp_min(1)

    def _of(self, name: str) -> Tensor:
        value = getattr(self, name)
        assert isinstance(value, Tensor)
        return value


def _weights() -> dict[str, Tensor]:
    """The tensors of the package's ONNX file under short names, with the shapes used here."""
    found = {name.replace("/", "_"): value for name, value in _initializers().items()}
    weights = {}
    for part in ("real", "imag"):
        weights[f"stft_{part}"] = found[f"time2freq_stft-{part}_kernel:0"][:, :, 0].T
    for name in _CONVOLUTIONS:
        weights[f"{name}_kernel"] = found[f"{name}_kernel:0"]
        weights[f"{name}_bias"] = found[f"{name}_bias:0"]
    for name in _DENSE:
        prefix = f"mos_estimator_logpow_{name}"
        weights[f"{name}_kernel"] = found[f"{prefix}_MatMul_ReadVariableOp_resource:0"]
        weights[f"{name}_bias"] = found[f"{prefix}_BiasAdd_ReadVariableOp_resource:0"]
    return {name: torch.tensor(np.ascontiguousarray(value)) for name, value in weights.items()}


def _initializers() -> dict[str, Any]:
    """All constants of the network by name."""
    package = util.find_spec("speechmos")
    if package is None or package.origin is None or util.find_spec("onnx") is None:
        raise UsageError("--rating-weight: the network of DNSMOS is not installed", _INSTALL)
    onnx = import_module("onnx")
    path = Path(package.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    graph = onnx.load(path).graph
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
