"""What there is to learn from, what was found wrong with it, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass, field

USED, TRIMMED, LEFT_OUT = "used", "trimmed", "left out"


@dataclass
class Finding:
    """Files with the same problem, and what is done with them."""

    what: str
    decision: str
    files: dict[str, str] = field(default_factory=dict)  # file -> what was found in it


class Findings:
    """Collects what is noticed, file by file."""

    def __init__(self) -> None:
        self._by_kind: dict[tuple[str, str], Finding] = {}

    def add(self, what: str, decision: str, file: object, detail: str = "") -> None:
        """Note one file (or pair, by its noisy side)."""
        finding = self._by_kind.setdefault((what, decision), Finding(what, decision))
        finding.files[str(file)] = detail

    def all(self) -> list[Finding]:
        """Every kind of finding, what is left out first."""
        decisions = (LEFT_OUT, TRIMMED, USED)
        return sorted(self._by_kind.values(), key=lambda found: decisions.index(found.decision))


@dataclass(frozen=True)
class SplitReport:
    """What one split holds."""

    pairs: int
    speech_files: int
    speech_hours: float
    speakers: int
    noise_files: int  # none of their own in pairs
    noise_hours: float  # of pairs, the noise that is in them
    noise_kinds: int
    rooms: int
    rates_hz: dict[int, int]  # of the files -> how many


@dataclass(frozen=True)
class DataReport:
    """Everything that is worth knowing before the first step; plain enough for JSON."""

    layout: str  # what the data were recognised as
    training: SplitReport
    validation: SplitReport
    validation_choice: str  # where the validation split comes from
    validation_items: int  # utterances scored each time
    notes: list[str]  # what else was decided
    findings: list[Finding]

    @property
    def left_out(self) -> int:
        """How many files (or pairs) are not used."""
        return sum(len(finding.files) for finding in self.findings if finding.decision == LEFT_OUT)
