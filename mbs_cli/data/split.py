"""The files that train and the files that validate."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mbs_cli.data.report import Findings

NO_GROUP = "."  # of files that lie in one folder and say nothing more


@dataclass(frozen=True)
class Recording:
    """A file and whose voice, or what kind of noise, it holds."""

    file: Path
    group: str


@dataclass(frozen=True)
class Pair:
    """The same utterance with and without noise."""

    clean: Path
    noisy: Path
    group: str  # whose voice it is


@dataclass(frozen=True)
class Split:
    """Files of one purpose: either pairs, or speech and noise (and perhaps rooms) to be mixed."""

    pairs: list[Pair] = field(default_factory=list)
    clean: list[Recording] = field(default_factory=list)
    noise: list[Recording] = field(default_factory=list)
    rir: list[Recording] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Every file."""
        paired = [file for pair in self.pairs for file in (pair.clean, pair.noisy)]
        return paired + [item.file for item in (*self.clean, *self.noise, *self.rir)]

    @property
    def speakers(self) -> list[str]:
        """Whose voices there are, every one once; nobody where they are not told apart."""
        groups = [pair.group for pair in self.pairs] + [item.group for item in self.clean]
        return [group for group in dict.fromkeys(groups) if group != NO_GROUP]


@dataclass
class Layout:
    """What was recognised: the files that train, those that validate, and what was noticed."""

    description: str
    train: Split
    valid: Split | None = None  # None: to be held out
    valid_choice: str = ""  # where `valid` comes from
    notes: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)

    @property
    def files(self) -> list[Path]:
        """Every file that is to be decoded."""
        return self.train.files + (self.valid.files if self.valid else [])
