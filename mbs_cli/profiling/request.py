"""What one measuring process is asked to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mbs_cli.models.config import PRESETS, ModelConfig, with_switches
from mbs_cli.profiling.results import Training
from mbs_cli.training.config import TrainConfig


@dataclass(frozen=True)
class ProbeRequest:
    """One measurement of one model."""

    kind: Literal["training", "inference"]
    preset: str
    switches: tuple[str, ...]
    device: str  # cpu, cuda or mps
    batch_size: int = 1  # clips of a training step
    seconds: float = 2.0  # of every clip, or of the signal to enhance
    checkpoint_activations: bool = False
    threads: int | None = None  # of a CPU; None: as torch decides
    peak_only: bool = False  # two steps, nothing counted
    memory_limit_bytes: int | None = None  # what lies beyond counts as not there

    @property
    def config(self) -> ModelConfig:
        """The model to measure."""
        return with_switches(PRESETS[self.preset], self.switches)

    @property
    def train_config(self) -> TrainConfig:
        """A training run with the shipped recipe, whose folders are never touched."""
        return TrainConfig(
            data=Path(),
            out=Path(),
            model=self.preset,
            switches=self.switches,
            steps=1,
            batch_size=self.batch_size,
            device=self.device,
            checkpoint_activations=self.checkpoint_activations,
        )

    def does_not_fit(self, reached_bytes: int | None = None) -> Training:
        """The result of a training step for which there is not enough memory."""
        return Training(
            batch_size=self.batch_size,
            seconds=self.seconds,
            checkpoint_activations=self.checkpoint_activations,
            fits=False,
            peak_bytes=None,
            reached_bytes=reached_bytes,
        )

    def to_json(self) -> str:
        """For the standard input of the process."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> ProbeRequest:
        """The request that `to_json` wrote."""
        values = json.loads(text)
        return ProbeRequest(**values | {"switches": tuple(values["switches"])})
