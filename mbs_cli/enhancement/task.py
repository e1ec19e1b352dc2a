"""A job whose header has been read: what there is to do, known before the model is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mbs_cli.audio.file_info import AudioFileInfo, read_info
from mbs_cli.audio.output_format import ClipPolicy, OutputFormat
from mbs_cli.audio.output_info import describe_output, rate_note
from mbs_cli.enhancement.plan import Plan
from mbs_cli.enhancement.report import FileReport, Status
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.errors import MbsError


@dataclass(frozen=True)
class Task:
    """One file to enhance."""

    info: AudioFileInfo
    target: Path
    output: AudioFileInfo  # what the target is to be
    treatment: Treatment
    wanted: OutputFormat

    @property
    def clip(self) -> ClipPolicy:
        """What happens to samples past full scale."""
        return self.wanted.clip

    @property
    def channel_seconds(self) -> float:
        """What the model has to do: the duration times the channels."""
        return self.info.seconds * self.info.channels

    @property
    def loses_picture(self) -> bool:
        """Whether the input is a video and the output its sound alone."""
        is_video = self.info.media is not None and self.info.media.has_video
        return is_video and not self.output.keeps_video

    def done(self, clipped_samples: int = 0, gain_db: float = 0.0, note: str = "") -> FileReport:
        """The report of a success."""
        rate = rate_note(self.info, self.output, self.wanted)
        picture = "the picture was left out, --video keeps it" if self.loses_picture else ""
        return FileReport(
            self.info.path,
            self.target,
            Status.DONE,
            self.info.seconds,
            clipped_samples,
            gain_db,
            "; ".join(filter(None, [note, rate, picture])),
        )

    def failed(self, error: MbsError) -> FileReport:
        """The report of a failure."""
        return FileReport(
            self.info.path, self.target, Status.FAILED, self.info.seconds, failure=error
        )


def open_tasks(
    plan: Plan, overwrite: bool, treatment: Treatment, wanted: OutputFormat
) -> Iterator[Task | FileReport]:
    """A task for every job of the plan, or the report of why there is nothing to do."""
    for path, error in plan.unusable:
        yield FileReport(path, None, Status.FAILED, failure=error)
    for job in plan.jobs:
        # Where it cannot be told (a folder without permission, a name too long) writing says why.
        if os.path.isfile(job.target) and not overwrite:  # noqa: PTH113 - that one raises there
            yield FileReport(job.source, job.target, Status.SKIPPED)
            continue
        try:
            info = read_info(job.source)
            channels = treatment.channels_out(info.channels)
            output = describe_output(info, wanted, channels)
            yield Task(info, job.target, output, treatment, wanted)
        except MbsError as error:
            yield FileReport(job.source, job.target, Status.FAILED, failure=error)
