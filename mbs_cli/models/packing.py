"""Weights as the kernels for inference take them, made once and kept while the weights stay.

Letters: I inputs and O outputs of a matrix product.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

KernelInput = tuple[Any, ...]  # arrays, and tuples of arrays


class PackedModule(nn.Module):
    """A module whose `pack` says what its kernel needs of the weights."""

    product_dtype = torch.float32  # of the factors of products inside the kernel; or bfloat16

    def __init__(self) -> None:
        super().__init__()
        self._packed: tuple[object, KernelInput] | None = None

    def pack(self) -> KernelInput:
        """The weights in the kernel's form; products in `product_dtype`."""
        raise TypeError(f"{type(self).__name__} packs nothing")

    @torch.no_grad()
    def packed(self) -> KernelInput:
        """As `pack`, of now: kept until a weight changes."""
        if any(weight.is_inference() for weight in self.parameters()):
            return self.pack()  # such a tensor does not tell whether it changed
        # As autograd does, this sees every change but those of a parameter's `data` in place.
        versions = (
            (weight.data_ptr(), weight._version)  # noqa: SLF001 - torch has no other name for it
            for weight in self.parameters()
        )
        now = (self.product_dtype, *versions)
        if self._packed is None or self._packed[0] != now:
            self._packed = now, self.pack()
        return self._packed[1]


def pack_weight(weight: Tensor, dtype: torch.dtype) -> NDArray[Any]:
    """A weight (..., I, O) as words (`mbs_cli.models.kernels.tile_product`).

    I and O are padded to multiples of the columns of a tile.
    """
    padded = _padded(weight.float(), axes=2)
    if dtype == torch.float32:
        return as_array(padded)
    by_pair = padded.unflatten(-2, (-1, 2)).transpose(-2, -1)  # (..., I / 2, O, 2)
    return _words(by_pair.flatten(-2), dtype)


def pack_left(
    weight: Tensor, bias: Tensor, dtype: torch.dtype
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weight (O, I) and bias (O,) of a product in which the weight is the left-hand factor."""
    return _words(_padded(weight.float(), axes=2), dtype), pack_columns(bias)


def _padded(values: Tensor, axes: int) -> Tensor:
    """With zeros after the values of the last axes, to multiples of the columns of a tile."""
    from mbs_cli.models.kernels.product import COLUMNS

    amounts = (-size % COLUMNS for size in values.shape[: -axes - 1 : -1])
    return F.pad(values, [amount for after in amounts for amount in (0, after)])


def _words(values: Tensor, dtype: torch.dtype) -> NDArray[Any]:
    """Values (..., 2 n) as (..., n) words of two bfloat16, or as they are."""
    if dtype == torch.float32:
        return as_array(values)
    return values.to(torch.bfloat16).contiguous().view(torch.int32).numpy()


def pack_linear(
    weight: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> tuple[NDArray[Any], ...]:
    """Weight (O, I) and bias (O,), zeros if None, of a Linear."""
    bias = weight.new_zeros(weight.shape[0]) if bias is None else bias
    return pack_weight(weight.mT, dtype), pack_columns(bias)


def pack_columns(values: Tensor) -> NDArray[Any]:
    """Float32 (..., O), padded as the outputs of a packed weight are."""
    return as_array(_padded(values, axes=1))


def as_array(values: Tensor) -> NDArray[Any]:
    """The values as a float32 array in C order."""
    return values.detach().float().contiguous().numpy()


def set_precision(model: nn.Module, dtype: torch.dtype) -> None:
    """Let kernels for inference multiply factors of that dtype: float32 or bfloat16."""
    for module in model.modules():
        if isinstance(module, PackedModule):
            module.product_dtype = dtype
