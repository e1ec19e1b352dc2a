"""What happens to samples past full scale. The policy has one name and one place: hard clip."""

from __future__ import annotations

import numpy as np

from mbs_cli.audio.samples import Samples


def hard_clip(block: Samples) -> tuple[Samples, int]:
    """Limit samples (C, S) to [-1, 1]; return them and how many were changed.

    For formats that cannot hold more; float files are never touched. The level of everything
    else stays as it is: a clipped peak is better than a file that became quieter unasked.
    """
    past_full_scale = int(np.count_nonzero(np.abs(block) > 1.0))
    return (np.clip(block, -1.0, 1.0) if past_full_scale else block), past_full_scale
