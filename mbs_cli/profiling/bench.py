"""One model on the bench: every measurement of it, announced and run in a fresh process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import torch

from mbs_cli.profiling.budget import largest_batch
from mbs_cli.profiling.device_memory import available_bytes
from mbs_cli.profiling.options import ProfileOptions
from mbs_cli.profiling.probe_process import probe_inference, probe_training
from mbs_cli.profiling.request import ProbeRequest
from mbs_cli.profiling.results import Budget, Inference, Training
from mbs_cli.profiling.subject import Subject

INFERENCE_SECONDS = 10.0
# A step that takes that much more than the budget ends early. What a process takes is more than
# what it then uses: the stacks of its threads, for one.
_BEYOND_BUDGET = 1.25
_TAKEN_AND_UNUSED_BYTES = 256_000_000

OnStart = Callable[[str], None]  # told in words what is measured next


@dataclass(frozen=True)
class Bench:
    """Measures one model."""

    subject: Subject
    options: ProfileOptions
    device: torch.device
    on_start: OnStart

    def training(self, batch_size: int) -> Training:
        """A training step: memory by what holds it, and time."""
        return self._training(batch_size, self.options.checkpoint_activations)

    def inference(self) -> Inference:
        """Enhancing one channel at 16 kHz."""
        self.on_start(f"{self.subject.name}: enhancing {INFERENCE_SECONDS:g} s")
        return probe_inference(self._request("inference", seconds=INFERENCE_SECONDS))

    def budget(self, budget_bytes: int, known: list[Training]) -> Budget:
        """The largest batch size within the budget, with and without checkpointed activations.

        Where less memory is free than the budget, that is the limit. `known` was measured before.
        """
        peaks = {
            is_checkpointed: {
                found.batch_size: found.peak_bytes
                for found in known
                if found.checkpoint_activations is is_checkpointed
            }
            for is_checkpointed in (False, True)
        }
        limit = min(budget_bytes, available_bytes(self.device))
        plain, checkpointed = (
            largest_batch(
                partial(self._peak, limit, is_checkpointed), limit, peaks[is_checkpointed]
            )
            for is_checkpointed in (False, True)
        )
        return Budget(budget_bytes, limit, plain, checkpointed)

    def _peak(self, limit_bytes: int, is_checkpointed: bool, batch_size: int) -> int | None:
        most = int(_BEYOND_BUDGET * limit_bytes) + _TAKEN_AND_UNUSED_BYTES
        found = self._training(
            batch_size,
            is_checkpointed,
            peak_only=True,
            memory_limit_bytes=None if batch_size == 1 else most,
        )
        return found.peak_bytes

    def _training(self, batch_size: int, checkpoint_activations: bool, **further: Any) -> Training:
        how = ", activations checkpointed" if checkpoint_activations else ""
        clips = f"batch {batch_size} x {self.options.seconds:g} s"
        self.on_start(f"{self.subject.name}: training step, {clips}{how}")
        return probe_training(
            self._request(
                "training",
                batch_size=batch_size,
                seconds=self.options.seconds,
                checkpoint_activations=checkpoint_activations,
                **further,
            )
        )

    def _request(self, kind: Literal["training", "inference"], **further: Any) -> ProbeRequest:
        return ProbeRequest(
            kind=kind,
            preset=self.subject.preset,
            switches=self.subject.switches,
            device=cast(Literal["cpu", "cuda", "mps"], self.device.type),
            threads=self.options.threads,
            **further,
        )
