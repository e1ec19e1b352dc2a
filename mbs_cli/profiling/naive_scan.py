"""What the backward pass of a naive scan needs, beside what ours keeps.

Naive is the plain loop under autograd (`mbs_cli.models.scan.reference`), which keeps every step.
Letters: S sequences, L steps, D features, N states per feature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mbs_cli.models.scan.reference import reference_scan
from mbs_cli.profiling.kept_bytes import kept_bytes_beside

_FLOAT32_BYTES = 4


@dataclass(frozen=True)
class ScanShape:
    """The sizes of one call of the scan."""

    sequences: int
    steps: int
    features: int
    states: int

    @property
    def naive_bytes(self) -> int:
        """What a loop under autograd keeps beyond the inputs.

        For each step the decays (S, D, N), the state (S, D, N) and dt * x (S, D), and once the
        state to start from.
        """
        state = self.features * self.states
        per_sequence = self.steps * (2 * state + self.features) + state
        return _FLOAT32_BYTES * self.sequences * per_sequence


class ScanCalls(TorchDispatchMode):
    """While entered, notes every call of the scan and the border states that it made."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: Counter[ScanShape] = Counter()
        self.border_bytes = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operator; note it if it is the scan."""
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.mbs.selective_scan.default:
            x, _dt, A, *_ = args
            sequences, steps, features = x.shape
            self.shapes[ScanShape(sequences, steps, features, A.shape[0])] += 1
            self.border_bytes += result[2].untyped_storage().nbytes()
        elif func is torch.ops.mbs.gated_scan.default:
            *_, rate, _skip, (sequences, steps, *_) = args
            states, features = rate.shape
            self.shapes[ScanShape(sequences, steps, features, states)] += 1
            self.border_bytes += result[1].untyped_storage().nbytes()
        return result

    @property
    def naive_bytes(self) -> int:
        """What a loop would have kept for all these calls."""
        return sum(shape.naive_bytes * calls for shape, calls in self.shapes.items())


def measure_naive(shape: ScanShape, device: torch.device) -> int:
    """Bytes that autograd holds beyond the inputs after the loop has run forward once."""
    along_x = (shape.sequences, shape.steps, shape.features)
    along_B = (shape.sequences, shape.steps, shape.states)
    sizes = (along_x, along_x, (shape.features, shape.states), along_B, along_B, along_x[2:])
    inputs = [torch.zeros(size, device=device).requires_grad_() for size in sizes]
    with kept_bytes_beside(inputs) as kept:
        outputs = reference_scan(*inputs)
    del outputs
    return kept.total
