"""Counting the memory of tensors while work goes on, by torch's own dispatcher.

Every operator shows the tensors that it makes; a storage counts once, from the operator that made
it until its last tensor is gone. What a kernel allocates inside itself and frees again is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LiveBytes(TorchDispatchMode):
    """While entered, follows the storages that operators make.

    `existing` were there before and are left out, whatever is done to them. `on_peak` is called
    where the count rises to a new peak, in steps of 1 %.
    """

    def __init__(
        self, existing: Iterable[Tensor], on_peak: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._on_peak, self._told_at = on_peak, 0.0
        self.now = 0
        self.peak = 0
        self.at_backward: int | None = None  # what the forward pass left: kept for the backward
        self._references: dict[int, weakref.ref[Any]] = {}
        self._existing = {tensor.untyped_storage().data_ptr() for tensor in existing}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, self._unpack)

    def __enter__(self) -> Self:
        """Start to count."""
        self._hooks.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        """Count no further."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._hooks.__exit__()

    def _unpack(self, tensor: Tensor) -> Tensor:
        """The first tensor that is asked for again tells that the backward pass begins."""
        if self.at_backward is None:
            self.at_backward = self.now
        return tensor

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operator, and count what it made."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key in self._references or storage.data_ptr() in self._existing:
            return
        size = storage.nbytes()

        def release(_: Any) -> None:
            self.now -= size
            del self._references[key]

        self._references[key] = weakref.ref(storage, release)
        self.now += size
        self.peak = max(self.peak, self.now)
        if self.now > 1.01 * self._told_at:
            self._told_at = self.now
            self._on_peak()
