"""Errors that a user can act on: what happened, to which file, and the next step.

The library raises these; only `mbs_cli.app` turns them into an exit code.
"""

from __future__ import annotations


class MbsError(Exception):
    """A failure that is not a bug of ours.

    `message` names the file, what was found and what was expected; `hint` is the next step.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class AudioError(MbsError):
    """An audio file that cannot be read, written or processed."""


class CheckpointError(MbsError):
    """A checkpoint that is not one of ours, is damaged, or does not fit."""


class DataError(MbsError):
    """A training or scoring folder that lacks what is needed or does not pair up."""


class DeviceError(MbsError):
    """A compute device that is not there."""


class OutOfMemory(MbsError):
    """Work that does not fit into memory."""


class UsageError(MbsError):
    """Options that contradict each other or name something that does not exist."""
