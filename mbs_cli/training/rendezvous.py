"""Where the processes of a run meet, after every restart anew.

torchrun keeps one key-value store for all restarts of a job, so a process may read there what one
that is dead has written, such as its address. Here the processes agree on a name that no earlier
attempt has used, and everything else is written under that name.
"""

from __future__ import annotations

import os
import secrets
import time
from datetime import timedelta

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

_RETRY = timedelta(seconds=1)
_NAME, _ATTEMPTS = "mbs/name", "mbs/attempts"


def meet(backend: str) -> bool:
    """Join the process group of this attempt; whether an earlier one was made by this job."""
    store, rank, count = next(rendezvous("env://"))
    name = _invite(store, count) if rank == 0 else _accept(store, rank)
    fresh = PrefixStore(name, store)
    dist.init_process_group(backend, store=fresh, rank=rank, world_size=count)
    is_restart = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    return is_restart or (rank == 0 and int(store.add(_ATTEMPTS, 0)) > 1)


def _invite(store: Store, count: int) -> str:
    """Give this attempt a name and show every other process that it was understood."""
    name = secrets.token_hex(8)
    store.add(_ATTEMPTS, 1)
    store.set(_NAME, name)
    for rank in range(1, count):
        store.set(f"{name}/welcome/{rank}", store.get(f"{name}/guest/{rank}").decode())
    return name


def _accept(store: Store, rank: int) -> str:
    """The name of this attempt: the one whose first process answers with what was just sent."""
    guest = secrets.token_hex(8)
    while True:
        name = str(store.get(_NAME).decode())
        store.set(f"{name}/guest/{rank}", guest)
        try:
            store.wait([f"{name}/welcome/{rank}"], _RETRY)
        except dist.DistStoreError:
            continue  # a name of before, whose first process is gone
        if store.get(f"{name}/welcome/{rank}").decode() == guest:
            return name
        time.sleep(_RETRY.total_seconds() / 10)
