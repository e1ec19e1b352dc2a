"""What the layers of the encoder do row by row, for training on a CPU, by fused kernels.

Letters: R rows, D features. The residual stream is float32; what goes into matrix products and
comes from them has the dtype of the products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mbs_cli.models.kernels.launch import run_shared


def product_dtype() -> torch.dtype:
    """Of matrix products on the CPU: float32, or what autocast says."""
    enabled = torch.is_autocast_enabled("cpu")
    return torch.get_autocast_dtype("cpu") if enabled else torch.float32


def trains_fused(x: Tensor) -> bool:
    """Whether gradients of what is computed from x may come from kernels: CPU, float32, eager.

    Products may be in bfloat16, by autocast.
    """
    return (
        torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and product_dtype() in {torch.float32, torch.bfloat16}
        and not torch.compiler.is_compiling()
    )


def run_rows(kernel: Any, items: int, *inputs: Any) -> None:
    """As `run_shared`; bfloat16 goes as int16, which numpy has."""
    run_shared(kernel, items, *map(_bits, inputs))


def _bits(value: Any) -> Any:
    is_bfloat16 = isinstance(value, Tensor) and value.dtype == torch.bfloat16
    return value.view(torch.int16) if is_bfloat16 else value


def normalise(x: Tensor, gain: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    """LayerNorm of x (R, D) with gain and shift (D,)."""
    from mbs_cli.models.kernels.rows_training import normalise_rows

    y = torch.empty_like(x, dtype=dtype)
    run_rows(normalise_rows, len(x), x, gain, shift, y)
    return y


def normalise_backward(
    x: Tensor, gain: Tensor, dy: Tensor, residual: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient of x, added to that of its residual connection, and those of gain and shift."""
    from mbs_cli.models.kernels.rows_training import BLOCK, normalise_rows_backward

    blocks = -(-len(x) // BLOCK)
    dgain, dshift = x.new_empty(2, blocks, x.shape[1])
    dx = torch.empty_like(x)
    run_rows(normalise_rows_backward, blocks, x, gain, dy, residual, dx, dgain, dshift)
    return dx, dgain.sum(0), dshift.sum(0)


def add(x: Tensor, change: Tensor, bias: Tensor) -> Tensor:
    """The sum of x (R, D), change (R, D) and bias, which is (1, D) or (R, 1)."""
    from mbs_cli.models.kernels.rows_training import add_rows

    y = torch.empty_like(x)
    run_rows(add_rows, len(x), x, change, bias, y)
    return y
