"""DNSMOS (Reddy et al., ICASSP 2021 and 2022) through `speechmos`, which ships its models.

Two networks' guesses at listener ratings from 1 to 5, without a reference. One was trained on
ratings by P.835: SIG (speech), BAK (background) and OVRL (overall). The other, older one gives the
single rating of P.808; it is what to judge a model by that was trained with the first
(`--rating-weight`). Optional: the extra `dnsmos` of this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.models.onnx.packages import keep_onnxruntime_quiet
from mbs_cli.scoring.signals import SAMPLE_RATE_HZ, NotApplicable, check_estimate

SHORTEST_SECONDS = 0.5  # the package repeats what is shorter than its 9 s, and rates that


def dnsmos(estimate: NDArray[Any]) -> tuple[float, float, float, float]:
    """SIG, BAK, OVRL and the rating of P.808 of one signal (S,) at 16 kHz.

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
    sig, bak, ovrl, p808 = (float(ratings[f"{key}_mos"]) for key in ("sig", "bak", "ovrl", "p808"))
    return sig, bak, ovrl, p808
