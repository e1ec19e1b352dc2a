"""Which decoded files are fit to train on, with a decision on each that has something wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.data.cache import AudioStore, Clip
from mbs_cli.data.report import LEFT_OUT, TRIMMED, USED, Findings, SplitReport
from mbs_cli.data.split import Pair, Recording, Split

SHORTEST_SECONDS = 0.1  # of speech and noise: less repeats into a buzz
MOST_TRIMMED_SECONDS = 0.1  # by which the sides of a pair may differ in length

# Two rates round one duration to two sample counts: that is no difference.
_ROUNDING_SAMPLES = 2


def usable_split(split: Split, store: AudioStore, findings: Findings) -> Split:
    """What of a split can be used; everything that is noticed goes to `findings`."""
    kept = {
        name: [item for item in items if _is_usable(item.file, store, findings, shortest)]
        for name, items, shortest in (
            ("clean", split.clean, SHORTEST_SECONDS),
            ("noise", split.noise, SHORTEST_SECONDS),
            ("rir", split.rir, 0.0),
        )
    }
    return Split([pair for pair in split.pairs if _is_pair(pair, store, findings)], **kept)


def _is_pair(pair: Pair, store: AudioStore, findings: Findings) -> bool:
    sides = (pair.clean, pair.noisy)
    usable = [_is_usable(file, store, findings, SHORTEST_SECONDS) for file in sides]
    if not all(usable):
        for file, is_usable, other in zip(sides, usable, reversed(sides), strict=True):
            if is_usable:
                findings.add("partner not usable", LEFT_OUT, file, f"without {other}")
        return False
    clean, noisy = (store.clips[store.number_of[file]] for file in sides)
    if clean.rate_hz != noisy.rate_hz:
        rates = f"clean {clean.rate_hz} Hz, noisy {noisy.rate_hz} Hz"
        findings.add("sample rates of a pair differ", USED, pair.noisy, rates)
    difference = abs(clean.length - noisy.length)
    if difference <= _ROUNDING_SAMPLES:
        return True
    seconds = f"clean {clean.seconds:.3f} s, noisy {noisy.seconds:.3f} s"
    is_close = difference < MOST_TRIMMED_SECONDS * SAMPLE_RATE_HZ
    findings.add("lengths of a pair differ", TRIMMED if is_close else LEFT_OUT, pair.noisy, seconds)
    return is_close


def _is_usable(file: Path, store: AudioStore, findings: Findings, shortest_seconds: float) -> bool:
    rejection = store.skipped.get(file)
    if rejection is not None:
        findings.add(rejection.what, LEFT_OUT, file, rejection.detail)
        return False
    clip = store.clips[store.number_of[file]]
    if clip.seconds < shortest_seconds:
        findings.add("too short", LEFT_OUT, file, f"{clip.seconds:.3f} s")
        return False
    if clip.is_clipped:
        findings.add("clipped", USED, file)
    if clip.rate_hz < SAMPLE_RATE_HZ:
        findings.add("sampled below 16 kHz", USED, file, f"{clip.rate_hz} Hz")
    if clip.channels > 1:
        findings.add("more than one channel, averaged", USED, file, f"{clip.channels} channels")
    return True


def describe_split(split: Split, store: AudioStore) -> SplitReport:
    """Files, hours, speakers and rates of a split that is usable throughout."""
    clips = {file: store.clips[store.number_of[file]] for file in split.files}
    speech = [clips[file] for file in (*(p.clean for p in split.pairs), *_files(split.clean))]
    noise = [clips[file] for file in (*(p.noisy for p in split.pairs), *_files(split.noise))]
    return SplitReport(
        pairs=len(split.pairs),
        speech_files=len(speech),
        speech_hours=_hours(speech),
        speakers=len(split.speakers),
        noise_files=len(split.noise),
        noise_hours=_hours(noise),
        noise_kinds=len({recording.group for recording in split.noise}),
        rooms=len(split.rir),
        rates_hz=dict(sorted(Counter(clip.rate_hz for clip in clips.values()).items())),
    )


def _files(recordings: Sequence[Recording]) -> list[Path]:
    return [recording.file for recording in recordings]


def _hours(clips: Iterable[Clip]) -> float:
    return sum(clip.seconds for clip in clips) / 3600
