"""Where sequences lie in memory, for kernels that run along them."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Layout:
    """Where sequences lie among the rows (D,) of a tensor: step t of sequence s is the row
    first_row + s * sequence_stride + t * step_stride.
    """

    sequences: int
    steps: int
    sequence_stride: int
    step_stride: int
    first_row: int = 0

    @property
    def places(self) -> tuple[int, int, int, int]:
        """First row, how far the next sequence is from it, how far the next step, steps."""
        return self.first_row, self.sequence_stride, self.step_stride, self.steps

    def reversed(self) -> Layout:
        """The same sequences, from their last steps on back."""
        last = self.first_row + (self.steps - 1) * self.step_stride
        return replace(self, first_row=last, step_stride=-self.step_stride)
