"""DNSMOS P.835 (Reddy et al., ICASSP 2022) through `speechmos`, which ships its models.

A network's guess at three listener ratings, without a reference: SIG (speech), BAK (background) and
OVRL (overall), each from 1 to 5. Optional: the extra `dnsmos` of this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.models.onnx.packages import keep_onnxruntime_quiet
from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable, check_estimate

SHORTEST_SECONDS = 0.5  # the package repeats what is shorter than its 9 s, and rates that


def dnsmos(estimate: NDArray[Any]) -> tuple[float, float, float]:
    """SIG, BAK and OVRL of one signal (S,) at 16 kHz.

    Samples beyond full scale are clipped first, as an integer audio file would hold them.

    Raises:
        NotApplicable: the signal is too short, silent or not finite, or the package is not
            installed.
    """
    signal = np.clip(check_estimate(estimate, SHORTEST_SECONDS), -1.0, 1.0)
    keep_onnxruntime_quiet()
    try:
        package = import_module("speechmos.dnsmos")  # untyped, and not there in most places
    except ImportError as error:
        raise NotApplicable(
            "the speechmos package is not installed (pip install speechmos onnxruntime)"
        ) from error
    ratings = package.run(signal, SAMPLE_RATE_HZ)
    return float(ratings["sig_mos"]), float(ratings["bak_mos"]), float(ratings["ovrl_mos"])
