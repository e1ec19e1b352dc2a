"""What the processes of a run under torchrun put together; a process alone has it all already.

R rows of each process.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def process_count() -> int:
    """How many processes train together."""
    is_shared = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if is_shared else 1


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of this tensor over all processes."""
    if process_count() > 1:
        distributed.all_reduce(values)
    return values


def rows_of_all(rows: Tensor) -> Tensor:
    """The rows (R, ...) on the CPU of all processes, one process after another."""
    if process_count() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(process_count())]
    distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def own_rows(rows: Tensor) -> Tensor:
    """The share of this process of the rows of all: one at least, if need be another's as well."""
    count = process_count()
    rank = distributed.get_rank() if count > 1 else 0
    return rows[torch.arange(rank, max(count, len(rows)), count) % len(rows)]
