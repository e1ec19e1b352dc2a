"""What `mbs train` says about its data before the first step: a table, or plain lines."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mbs_cli.data.report import LEFT_OUT, DataReport, Finding, SplitReport


def data_lines(report: DataReport) -> list[str]:
    """The report as lines of text; of every kind of finding one file is named."""
    scored = f"{report.validation_items} utterances scored"
    lines = [
        f"data: {report.layout}",
        f"training: {_describe(report.training)}",
        f"validation: {_describe(report.validation)}; {scored}; {report.validation_choice}",
        *(f"note: {note}" for note in report.notes),
    ]
    return lines + [
        f"{finding.decision}: {_count(len(finding.files), 'file')}, {finding.what}: "
        f"{_example(finding)}"
        for finding in report.findings
    ]


def data_table(report: DataReport) -> Group:
    """The report for a terminal."""
    splits = Table("", "training", "validation", title=Text(report.layout), title_justify="left")
    sides = _rows(report.training), _rows(report.validation)
    for name, training in sides[0].items():
        if training or sides[1][name]:
            splits.add_row(name, training, sides[1][name])
    splits.add_row("utterances scored", "", str(report.validation_items))
    parts: list[Table | Text] = [splits, Text(f"validation: {report.validation_choice}")]
    parts += [Text(f"note: {note}") for note in report.notes]
    if report.findings:
        parts.append(_findings_table(report.findings))
    return Group(*parts)


def _findings_table(findings: list[Finding]) -> Table:
    table = Table("decision", "files", "what was found", "for example")
    for finding in findings:
        style = "yellow" if finding.decision == LEFT_OUT else ""
        count = str(len(finding.files))
        cells = (finding.decision, count, finding.what, _example(finding))
        table.add_row(*map(Text, cells), style=style)
    return table


def _rows(split: SplitReport) -> dict[str, str]:
    """Name of a figure -> the figure, empty where it says nothing."""
    return {
        "pairs": f"{split.pairs:,}" if split.pairs else "",
        "files of speech": f"{split.speech_files:,}" if not split.pairs else "",
        "speech": _duration(split.speech_hours),
        "speakers": f"{split.speakers:,}" if split.speakers else "not told apart",
        "files of noise": f"{split.noise_files:,}" if not split.pairs else "",
        "noise": _duration(split.noise_hours) if not split.pairs else "",
        "kinds of noise": f"{split.noise_kinds:,}" if not split.pairs else "",
        "rooms": f"{split.rooms:,}" if split.rooms else "",
        "sample rates": _rates(split),
    }


def _describe(split: SplitReport) -> str:
    speakers = f" ({_count(split.speakers, 'speaker')})" if split.speakers else ""
    if split.pairs:
        pairs = f"{_count(split.pairs, 'pair')}, {_duration(split.speech_hours)}"
        return f"{pairs}{speakers}, {_rates(split)}"
    rooms = f", {_count(split.rooms, 'room response')}" if split.rooms else ""
    speech = f"{_count(split.speech_files, 'file')} of speech, {_duration(split.speech_hours)}"
    noise = f"{_count(split.noise_files, 'file')} of noise, {_duration(split.noise_hours)}"
    kinds = _count(split.noise_kinds, "folder")
    return f"{speech}{speakers}, {noise} ({kinds}){rooms}, {_rates(split)}"


def _rates(split: SplitReport) -> str:
    if len(split.rates_hz) == 1:
        return f"{next(iter(split.rates_hz))} Hz"
    return ", ".join(f"{rate} Hz ({files:,})" for rate, files in split.rates_hz.items())


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _example(finding: Finding) -> str:
    file, detail = next(iter(finding.files.items()))
    return f"{file} ({detail})" if detail else file
