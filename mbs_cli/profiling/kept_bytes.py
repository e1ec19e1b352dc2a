"""What autograd keeps of a forward pass for the backward pass, counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class KeptBytes:
    """What forward passes have kept so far; `total` is its size in bytes.

    Distinct storages count once, those of `own` (weights or inputs) not at all. What was noted
    stays in memory as long as this object: no address is then used twice.
    """

    def __init__(self, own: Iterable[Tensor]) -> None:
        self._own = {tensor.untyped_storage().data_ptr() for tensor in own}
        self._kept: dict[int, Tensor] = {}

    def note(self, tensor: Tensor) -> Tensor:
        """Take a tensor that is being kept; gives it back."""
        address = tensor.untyped_storage().data_ptr()
        if address not in self._own:
            self._kept.setdefault(address, tensor)
        return tensor

    @property
    def total(self) -> int:
        """Bytes kept so far."""
        return sum(tensor.untyped_storage().nbytes() for tensor in self._kept.values())


@contextmanager
def kept_bytes_beside(own: Iterable[Tensor]) -> Iterator[KeptBytes]:
    """Counts what the forward passes within keep, beside the tensors that they were given."""
    kept = KeptBytes(own)
    with torch.autograd.graph.saved_tensors_hooks(kept.note, lambda tensor: tensor):
        yield kept
