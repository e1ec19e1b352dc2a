"""From a data folder to training clips, validation utterances and a report on what was found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.data.cache import AudioStore, files_read, open_store
from mbs_cli.data.inspection import describe_split, usable_split
from mbs_cli.data.layout import recognise
from mbs_cli.data.mixing import Mixer, sampler_of
from mbs_cli.data.pairs import PairMixer, PairStore
from mbs_cli.data.report import LEFT_OUT, USED, DataReport, Findings
from mbs_cli.data.sources import read_sources
from mbs_cli.data.speakers import first_names, hold_out
from mbs_cli.data.split import Layout, Pair, Split
from mbs_cli.errors import DataError
from mbs_cli.scoring.lag import measure_lag
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.validation_items import Item, validation_items

_PAIRS_LOOKED_AT = 50  # for their alignment
_LOOKED_AT_SECONDS = 4
_MOST_LAG_SAMPLES = 16  # 1 ms: beyond it "noisy minus clean" is no longer the noise


@dataclass(frozen=True)
class TrainingData:
    """All that training needs of the data."""

    train: Mixer | PairMixer  # a clip is a function of the seed, its number and length alone
    validation: list[Item]
    report: DataReport
    sources: list[dict[str, str]]

    @property
    def sha256(self) -> str:
        """What the data are: how many files of what length and rate, and what validates."""
        sides = asdict(self.report.training), asdict(self.report.validation)
        digest = hashlib.sha256(json.dumps(sides).encode())
        for item in self.validation:
            digest.update(item.name.encode(errors="backslashreplace"))
            digest.update(item.clean.tobytes() + item.noisy.tobytes())
        return digest.hexdigest()

    def files_of(self, number: int, times: int = 1) -> list[Path]:
        """The files that a training clip is made of."""
        return files_read(lambda: self.train.clip(number, times))


def open_training_data(
    config: TrainConfig, on_file: Callable[[int, int], None] = lambda *_: None
) -> TrainingData:
    """Recognise the data, decode what is not in the cache, inspect, split and report.

    `on_file(done, total)` is told of every file decoded. Raises DataError, before anything is
    decoded where that is possible, if there is nothing to train on or nothing to validate on.
    """
    sources = read_sources(config.data)
    layout = recognise(config.data)
    if layout.valid is None:
        hold_out(layout.train)  # too few files to be split are known before they are decoded
    store = open_store(layout.files, config.cache or default_cache(), on_file)
    train, valid, choice = _usable(config.data, layout, store)
    mixer = _mixer(train, store, config)
    items = validation_items(valid, store, config.validation_items)
    report = DataReport(
        layout=layout.description,
        training=describe_split(train, store),
        validation=describe_split(valid, store),
        validation_choice=choice,
        validation_items=len(items),
        notes=layout.notes + _notes(train, valid, store, layout.findings),
        findings=layout.findings.all(),
    )
    return TrainingData(mixer, items, report, sources)


def default_cache() -> Path:
    """The user's cache folder for decoded audio."""
    from platformdirs import user_cache_path

    return user_cache_path("mbs") / "audio"


def _usable(data: Path, layout: Layout, store: AudioStore) -> tuple[Split, Split, str]:
    """The splits without what cannot be used, and where the validation split comes from."""
    train = usable_split(layout.train, store, layout.findings)
    _check_not_empty(data, "training", layout.train, train, layout.findings)
    if layout.valid is None:
        return hold_out(train)
    valid = usable_split(layout.valid, store, layout.findings)
    _check_not_empty(data, "validation", layout.valid, valid, layout.findings)
    return train, valid, layout.valid_choice


def _check_not_empty(data: Path, name: str, found: Split, usable: Split, why: Findings) -> None:
    """Raise DataError with one of the files `found` that is not `usable` where one is missing."""
    if usable.pairs or (usable.clean and usable.noise):
        return
    what = "speech" if usable.noise else "noise" if usable.clean else "file"
    sides = {"speech": found.clean, "noise": found.noise}.get(what)
    files = found.files if sides is None else [recording.file for recording in sides]
    wanted = {str(file) for file in files}
    file, reason = next(
        (file, f"{finding.what} ({detail})" if detail else finding.what)
        for finding in why.all()
        for file, detail in finding.files.items()
        if file in wanted and finding.decision == LEFT_OUT
    )
    raise DataError(
        f"{data}: no usable {what} is left for {name}; for example {file}: {reason}",
        "mend or replace these files",
    )


def _mixer(split: Split, store: AudioStore, config: TrainConfig) -> Mixer | PairMixer:
    if split.pairs:
        groups = [pair.group for pair in split.pairs]
        return PairMixer(PairStore(store, split.pairs), groups, config.mixing, config.seed)
    rooms = store.only(recording.file for recording in split.rir) if split.rir else None
    speech, noise = sampler_of(split.clean, store), sampler_of(split.noise, store)
    return Mixer(speech, noise, rooms, config.mixing, config.seed)


def _notes(train: Split, valid: Split, store: AudioStore, findings: Findings) -> list[str]:
    notes = []
    shared = set(train.speakers) & set(valid.speakers)
    if shared:
        notes.append(f"speakers that both train and validate: {first_names(sorted(shared))}")
    looked_at = train.pairs[:: max(1, len(train.pairs) // _PAIRS_LOOKED_AT)][:_PAIRS_LOOKED_AT]
    late = _find_late(looked_at, store, findings)
    if late:
        notes.append(f"{late} of {len(looked_at)} pairs looked at are not aligned")
    return notes


def _find_late(looked_at: list[Pair], store: AudioStore, findings: Findings) -> int:
    """How many of these pairs have a side that is late against the other."""
    pairs = PairStore(store, looked_at)
    late = 0
    for number, pair in enumerate(looked_at):
        noisy, clean = pairs.read(number, 0, _LOOKED_AT_SECONDS * SAMPLE_RATE_HZ)
        lag = measure_lag(clean, noisy)
        if lag is not None and abs(lag) > _MOST_LAG_SAMPLES:
            late += 1
            way = "late" if lag > 0 else "early"
            detail = f"noisy is {1000 * abs(lag) / SAMPLE_RATE_HZ:.1f} ms {way}"
            findings.add("sides of a pair are not aligned", USED, pair.noisy, detail)
    return late
