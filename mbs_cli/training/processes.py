"""The processes that train one model together: one alone, or one per device under torchrun.

Every process computes a part of every batch. The first one (rank 0) alone validates, saves and
shows; the others wait for it. Small agreements go through a group of their own on the CPU that
waits for days, so that a long validation is no time-out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mbs_cli.device import Device, resolve_device
from mbs_cli.errors import DeviceError, MbsError
from mbs_cli.training.rendezvous import meet

_LONGEST_WAIT = timedelta(days=7)
_LOST_CONTACT = re.compile(r"gloo|NCCL|Connection (closed|reset)|Broken pipe", re.IGNORECASE)


@dataclass(frozen=True)
class Processes:
    """The place of this process among those that train together."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0  # on this machine
    is_restart: bool = False  # torchrun has started them again after a failure
    agreements: dist.ProcessGroup | None = None  # None: there is one process

    @property
    def is_first(self) -> bool:
        """Whether this one validates, saves and shows."""
        return self.rank == 0

    def share(self, items: Sequence[Any]) -> Sequence[Any]:
        """The part of a batch for this process; the parts of all are the batch, none overlap."""
        first, end = (len(items) * number // self.count for number in (self.rank, self.rank + 1))
        return items[first:end]

    def sum(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The sums of these scalars over all processes."""
        if self.count == 1:
            return values
        sums = self.total(torch.stack([value.detach().float() for value in values.values()]))
        return dict(zip(values, sums.unbind(), strict=True))

    def total(self, values: Tensor) -> Tensor:
        """The sum of this tensor over all processes, in its place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def rows_of_all(self, rows: Tensor) -> Tensor:
        """The rows (R, ...) on the CPU of all processes, which give as many each."""
        if self.count == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.count)]
        dist.all_gather(parts, rows.contiguous(), self.agreements)
        return torch.cat(parts)

    def own_rows(self, rows: Tensor) -> Tensor:
        """What of `rows_of_all` is for this process: at least one, if need be another's as well."""
        last = max(self.count, len(rows))
        return rows[torch.arange(self.rank, last, self.count) % len(rows)]

    def largest(self, *values: float) -> list[float]:
        """The largest of each value over all processes."""
        if self.count == 1:
            return list(values)
        most = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(most, dist.ReduceOp.MAX, self.agreements)
        return list(most.tolist())

    def bytes_from_first(self, content: bytes) -> bytes:
        """What the first process gives; what the others give is not looked at."""
        if self.count == 1:
            return content
        (length,) = self.largest(len(content) if self.is_first else 0)
        shared = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_first:
            shared.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(shared, 0, self.agreements)
        return shared.numpy().tobytes()

    def wait(self) -> None:
        """Until all processes are here."""
        self.largest(0.0)

    @contextmanager
    def one_before_the_others(self) -> Iterator[None]:
        """On every machine one process goes first, as the others then find what it has made."""
        if self.local_rank != 0:
            self.wait()
        yield
        if self.local_rank == 0:
            self.wait()


@contextmanager
def joined_processes(device: str) -> Iterator[tuple[Processes, torch.device]]:
    """Meet the other processes that torchrun has started, if it has; with the device of this one.

    An error tells which process raised it. Raises DeviceError for a device that is not there, and
    MbsError if another process is gone.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        is_restart = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
        yield Processes(is_restart=is_restart), resolve_device(device)
        return
    local_rank = int(os.environ["LOCAL_RANK"])
    chosen = _device_of(local_rank, device)
    is_restart = meet("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    rank = dist.get_rank()
    agreements = dist.new_group(backend="gloo", timeout=_LONGEST_WAIT)
    processes = Processes(rank, dist.get_world_size(), local_rank, is_restart, agreements)
    try:
        yield processes, chosen
    except MbsError as error:
        error.message = f"rank {rank}: {error.message}"
        raise
    except RuntimeError as error:
        if not is_lost_contact(error):
            raise
        raise MbsError(
            f"rank {rank}: another process of this run is gone",
            "its own message says why; start the same command again with --resume",
        ) from error
    finally:
        dist.destroy_process_group()


def _device_of(local_rank: int, device: str) -> torch.device:
    """Each process of a machine has a GPU of its own."""
    chosen = resolve_device(device)
    if chosen.type == Device.MPS:
        raise DeviceError("--device mps: there is one such device", "train without torchrun")
    if chosen.type != Device.CUDA:
        return chosen
    if local_rank >= torch.cuda.device_count():
        raise DeviceError(
            f"{local_rank + 1} processes on a machine with {torch.cuda.device_count()} GPUs",
            "give torchrun --nproc-per-node as many as there are GPUs",
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def is_lost_contact(error: Exception) -> bool:
    """Whether this is how torch says that another process does not answer any more."""
    is_told_by_text = isinstance(error, RuntimeError) and _LOST_CONTACT.search(str(error))
    return isinstance(error, dist.DistError) or bool(is_told_by_text)
