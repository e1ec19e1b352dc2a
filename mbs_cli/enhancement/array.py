"""Speech that is in memory already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.audio.samples import check_floats
from mbs_cli.device import Device
from mbs_cli.enhancement.loading import DEFAULT_MODEL, load_model
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import AudioError, UsageError
from mbs_cli.models.precision import Precision

if TYPE_CHECKING:
    from torch import nn

_AS_IT_IS = Treatment()


def enhance_array(
    samples: NDArray[Any],
    sample_rate_hz: int,
    *,
    model: str | Path | nn.Module = DEFAULT_MODEL,
    device: Device | str = Device.AUTO,
    precision: Precision | str = Precision.AUTO,
    treatment: Treatment = _AS_IT_IS,
) -> NDArray[np.float32]:
    """Enhance floats of full scale 1, shaped (S,), (S, C) or (C, S); the result has that shape,
    but for one channel only where `treatment` mixes down.

    Of two axes the longer one is taken for time. To enhance many arrays, load a model once with
    `load_model` and pass it. Raises UsageError for another shape, integers or a rate below 1 Hz,
    AudioError for NaN or infinite samples.
    """
    from mbs_cli.enhancement.blocks import block_frames, enhance_blocks
    from mbs_cli.enhancement.bounded import BoundedModel

    _check(samples, sample_rate_hz)
    if samples.size == 0:
        return samples.astype(np.float32)
    is_time_first = samples.ndim == 2 and samples.shape[0] > samples.shape[1]
    signal = np.atleast_2d(samples.T if is_time_first else samples).astype(np.float32)
    channels, length = signal.shape
    network = BoundedModel(load_model(model, device, precision=precision))
    step = block_frames(network, sample_rate_hz, channels)
    blocks = (signal[:, start : start + step] for start in range(0, length, step))
    pieces = list(enhance_blocks(network, blocks, sample_rate_hz, channels, treatment))
    enhanced: NDArray[np.float32] = np.concatenate(pieces, axis=1)
    if samples.ndim == 1:
        return enhanced.reshape(-1)
    return enhanced.T if is_time_first else enhanced


def _check(samples: NDArray[Any], sample_rate_hz: int) -> None:
    if samples.ndim not in (1, 2):
        raise UsageError(
            f"an array of shape {samples.shape}: expected (samples,), (samples, channels) or "
            "(channels, samples)"
        )
    check_floats(samples)
    if sample_rate_hz < 1:
        raise UsageError(f"a sample rate of {sample_rate_hz} Hz: expected at least 1")
    if not np.isfinite(samples).all():
        raise AudioError("the array holds NaN or infinite samples", "repair it first")
