"""The figures of a run, and some held-out utterances to see and hear, for TensorBoard.

Optional: the extra `tensorboard` of this package.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.samples import Samples
from mbs_cli.scoring.report.spectrogram import levels_db, to_pixels
from mbs_cli.training.events import Clip, Report, Validated

# Of a clip: sound and picture of 5 s take about 250 kB, at every validation.
_LONGEST_SAMPLES = 5 * SAMPLE_RATE_HZ
_UNSHOWN = ("step", "loss", "parts", "progress", "seconds", "seconds_left")


def is_tensorboard_installed() -> bool:
    """Whether the files can be written at all."""
    return find_spec("tensorboard") is not None


class TensorboardFiles:
    """Writes event files into a folder; steps after `first_step` replace those of earlier runs.

    Files are opened with the first event. Raises OSError, and ImportError for a broken package.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._folder, self._first_step = folder, first_step
        self._open_writer: Any = None
        self._has_inputs = False  # the noisy and clean sides never change: once per run is enough

    @property
    def _writer(self) -> Any:
        if self._open_writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._open_writer = SummaryWriter(str(self._folder), purge_step=self._first_step + 1)
        return self._open_writer

    def add(self, event: Report | Validated) -> None:
        """Its figures, and its clips."""
        if isinstance(event, Report):
            self._add_report(event)
        else:
            self._add_validation(event)
        self._writer.flush()

    def close(self) -> None:
        """Let go of the files."""
        if self._open_writer is not None:
            self._open_writer.close()

    def _add_report(self, event: Report) -> None:
        figures = {f"loss/{name}": value for name, value in event.parts.items()}
        figures["loss/total"] = event.loss
        figures |= {
            f"training/{name}": value
            for name, value in asdict(event).items()
            if name not in _UNSHOWN and value is not None
        }
        self._add_scalars(figures, event.step)

    def _add_validation(self, event: Validated) -> None:
        figures = {}
        for name, value in event.scores.items():
            figures[f"validation/{name}"] = value
            if name in event.noisy_scores:
                figures[f"validation_gain/{name}"] = value - event.noisy_scores[name]
        self._add_scalars(figures, event.step)
        for number, clip in enumerate(event.clips, start=1):
            name = clip.name.encode("utf-8", "backslashreplace").decode()  # bytes of a file's name
            self._add_clip(f"{number}_{name}", clip, event.step)
        self._has_inputs = True

    def _add_scalars(self, figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def _add_clip(self, name: str, clip: Clip, step: int) -> None:
        sides = {"enhanced": clip.enhanced}
        if not self._has_inputs:
            sides |= {"noisy": clip.noisy, "clean": clip.clean}
        ceiling_db = float(_levels(clip.clean).max())
        for side, whole in sides.items():
            sound = np.clip(np.nan_to_num(whole[:_LONGEST_SAMPLES]), -1.0, 1.0)
            picture = to_pixels(_levels(sound), ceiling_db)
            self._writer.add_image(f"{name}/{side}", picture, step, dataformats="HWC")
            self._writer.add_audio(f"{name}/{side}", sound, step, SAMPLE_RATE_HZ)


def _levels(sound: Samples) -> NDArray[np.float32]:
    """Every second row and column of the spectrogram: a quarter of the bytes."""
    return levels_db(sound[:_LONGEST_SAMPLES], SAMPLE_RATE_HZ)[::2, ::2]
