"""What to measure. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from mbs_cli.errors import UsageError

MOST_CLIPS = 1 << 16
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.1, 3600.0


@dataclass(frozen=True)
class ProfileOptions:
    """The training step to measure, and how."""

    batch_size: int = 6  # clips per training step
    seconds: float = 2.0  # of every clip
    device: str = "auto"  # auto, cpu, cuda or mps
    checkpoint_activations: bool = False  # less memory, longer steps
    threads: int | None = None  # of a CPU; None: as torch decides
    sweep: tuple[int, ...] = ()  # batch sizes, a row for each
    budget_bytes: int | None = None  # find the largest batch size within it

    def __post_init__(self) -> None:
        for flag, sizes in (("--batch-size", (self.batch_size,)), ("--sweep", self.sweep)):
            for size in sizes:
                if not 1 <= size <= MOST_CLIPS:
                    raise UsageError(f"{flag} {size}: expected 1 to {MOST_CLIPS:,} clips")
        if not _SHORTEST_SECONDS <= self.seconds <= _LONGEST_SECONDS:
            raise UsageError(
                f"--seconds {self.seconds:g}: expected a number from {_SHORTEST_SECONDS:g} "
                f"to {_LONGEST_SECONDS:g}"
            )
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"--threads {self.threads}: expected at least 1")
