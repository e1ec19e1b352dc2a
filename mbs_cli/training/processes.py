"""Sums and rows shared between the processes of a run under torchrun; alone, nothing happens.

R rows of each process.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of this tensor over all processes."""
    if _is_shared():
        distributed.all_reduce(values)
    return values


def gather_rows(rows: Tensor, device: torch.device) -> Tensor:
    """The rows (R, ...) of all processes one after another, on the CPU; `device` exchanges them."""
    if not _is_shared():
        return rows
    own = rows.to(device).contiguous()
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    return torch.cat(parts).cpu()


def own_rows(rows: Tensor) -> Tensor:
    """The share of this process of gathered rows."""
    if not _is_shared():
        return rows
    return rows.tensor_split(distributed.get_world_size())[distributed.get_rank()]


def _is_shared() -> bool:
    return distributed.is_available() and distributed.is_initialized()
