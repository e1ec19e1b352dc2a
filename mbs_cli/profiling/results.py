"""What profiling finds, as plain values; `dataclasses.asdict` of a Report is its JSON document.

Bytes are bytes, seconds are seconds, MACs are multiply-adds; docs/memory.md explains each field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Component:
    """A part of a model with everything inside it."""

    name: str
    parameters: int
    macs_per_second: int  # per second of audio
    children: tuple[Component, ...] = ()


@dataclass(frozen=True)
class MemoryParts:
    """What holds the memory of a training step: tensors, one by one, and the gaps between them."""

    weights: int
    gradients: int
    optimizer: int  # its state, and the running average of the weights
    kept_for_backward: int  # what the forward pass leaves for the backward pass
    temporaries: int  # the other tensors that are there at the peak
    heap_gaps: int = 0  # CPU: free memory between the blocks of the C library's heap

    @property
    def total(self) -> int:
        """The counted peak."""
        return (
            self.weights
            + self.gradients
            + self.optimizer
            + self.kept_for_backward
            + self.temporaries
            + self.heap_gaps
        )


@dataclass(frozen=True)
class ScanMemory:
    """What all scans of a step keep for the backward pass beyond their inputs."""

    calls: int
    kept_bytes: int
    naive_bytes: int  # a loop under autograd, computed from the shapes
    naive_measured_bytes: int | None  # the same by running that loop; None where it does not fit


@dataclass(frozen=True)
class Training:
    """One training step. What is None is not known, or was not asked for."""

    batch_size: int
    seconds: float  # of every clip
    checkpoint_activations: bool
    fits: bool
    peak_bytes: int | None  # measured, beyond the bare process
    reached_bytes: int | None = None  # by a step that does not fit, when it failed
    counted_bytes: int | None = None  # the sum of the parts
    parts: MemoryParts | None = None
    kept_for_backward_bytes: int | None = None
    naive_kept_for_backward_bytes: int | None = None  # with a naive scan in place of ours
    scan: ScanMemory | None = None  # None also for models without one
    first_step_seconds: float | None = None
    step_seconds: float | None = None
    clips_per_second: float | None = None


@dataclass(frozen=True)
class Inference:
    """Enhancing a signal in memory, as `mbs enhance` does it."""

    seconds: float  # of the signal, one channel at 16 kHz
    fits: bool
    peak_bytes: int | None  # measured, beyond the bare process
    first_seconds: float | None = None  # of the first call
    first_real_time_factor: float | None = None
    real_time_factor: float | None = None  # of later calls: seconds of work per second of audio


@dataclass(frozen=True)
class LargestBatch:
    """The largest batch size within a budget, found by measuring it and the next one."""

    batch_size: int  # 0: not even one clip fits
    peak_bytes: int | None  # at that batch size
    next_peak_bytes: int | None  # one clip more; None: far more than the budget, or than there is


@dataclass(frozen=True)
class Budget:
    """What fits into a given memory."""

    budget_bytes: int
    limit_bytes: int  # the budget, or what memory was free where that is less
    plain: LargestBatch
    checkpointed: LargestBatch  # with --checkpoint-activations


@dataclass(frozen=True)
class ModelProfile:
    """Everything about one model."""

    name: str
    parameters: int
    checkpoint_bytes: int  # of its file
    is_causal: bool
    macs_per_second: int
    components: Component
    training: Training
    inference: Inference
    sweep: tuple[Training, ...] = ()
    budget: Budget | None = None


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    device: str  # cpu, cuda or mps
    device_name: str
    memory_bytes: int
    threads: int
    scan_implementation: str
    training_precision: str  # of matrix products in the steps measured
    platform: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Report:
    """One run of `mbs profile`."""

    machine: Machine
    date: str
    models: tuple[ModelProfile, ...]
    command: str = ""
    schema: int = field(default=1)

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        from dataclasses import asdict

        return asdict(self)
