"""Decoded audio on disk: every file is decoded and resampled once, then read as mapped memory.

The cache holds shards of a few hundred files, each a file of int16 samples and a JSON index beside
it, written all or nothing. A killed run loses at most the shard it was writing, a changed or new
file costs its own shard, and runs that share the cache find each other's shards.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbs_cli.atomic_file import atomic_file
from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.data.decoding import FULL_SCALE, Decoded, Rejection, decode
from mbs_cli.errors import DataError

_FORMAT = "mbs audio 2"  # part of every shard's name: another layout is another shard
_FILES_PER_SHARD = 256  # on average
_MAPPED_SHARDS = 100  # at once; every one holds a file descriptor

OnFile = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Clip:
    """Where the samples of one file are, and what was noticed when it was decoded."""

    file: Path
    audio: Path  # the shard
    offset: int  # samples
    length: int  # samples at 16 kHz
    peak: float
    rate_hz: int  # of the file
    channels: int  # of the file
    is_clipped: bool

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.length / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class AudioStore:
    """Decoded clips at 16 kHz mono."""

    clips: Sequence[Clip]
    skipped: dict[Path, Rejection] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def number_of(self) -> dict[Path, int]:
        """The number of every file's clip."""
        return {clip.file: number for number, clip in enumerate(self.clips)}

    def only(self, files: Iterable[Path]) -> AudioStore:
        """The clips of these files, in this order."""
        return AudioStore([self.clips[self.number_of[file]] for file in files])

    @property
    def may_hold_more(self) -> bool:
        """Whether a skipped file is worth another attempt."""
        return any(rejection.may_pass for rejection in self.skipped.values())

    def length(self, number: int) -> int:
        """How many samples a clip has."""
        return self.clips[number].length

    def peak(self, number: int) -> float:
        """The largest magnitude in a clip."""
        return self.clips[number].peak

    def read(self, number: int, start: int = 0, count: int | None = None) -> NDArray[np.float32]:
        """Samples of one clip as they are in its file, from `start`, at most `count`."""
        clip = self.clips[number]
        if (read := _files_read.get()) is not None:
            read[clip.file] = None
        last = clip.length if count is None else min(clip.length, start + count)
        stored = _mapped(clip.audio)[clip.offset + start : clip.offset + last]
        return stored.astype(np.float32) * np.float32(clip.peak / FULL_SCALE)


_files_read: ContextVar[dict[Path, None] | None] = ContextVar("files_read", default=None)


def files_read(work: Callable[[], object]) -> list[Path]:
    """The files whose clips `work` reads from any store, in that order, each once."""
    read: dict[Path, None] = {}
    token = _files_read.set(read)
    try:
        work()
    finally:
        _files_read.reset(token)
    return list(read)


@lru_cache(maxsize=_MAPPED_SHARDS)
def _mapped(audio: Path) -> NDArray[np.int16]:
    return np.memmap(audio, np.int16, "r").view(np.ndarray)


def open_store(files: Iterable[Path], cache: Path, on_file: OnFile = lambda *_: None) -> AudioStore:
    """The decoded clips of `files`, from `cache` as far as these very files were decoded before.

    `on_file(done, total)` is told of every file decoded now. Files that cannot be used are left
    out and named in `skipped`. Raises DataError if the cache cannot be written.
    """
    shards = [_Shard(part, cache) for part in _parts(sorted(set(files)))]
    missing = [shard for shard in shards if (store := shard.load()) is None or store.may_hold_more]
    try:
        _decode(missing, on_file)
    except OSError as error:
        raise DataError(
            f"{cache}: decoded audio cannot be written: {error}",
            "make room (what is decoded stays), or give a --cache on another disk",
        ) from error
    loaded = [store for shard in shards if (store := shard.load()) is not None]
    if len(loaded) < len(shards):
        raise DataError(
            f"{cache}: something else removed or changed decoded audio", "start once more"
        )
    clips = [clip for store in loaded for clip in store.clips]
    return AudioStore(clips, {file: why for store in loaded for file, why in store.skipped.items()})


def _parts(files: Sequence[Path]) -> Iterator[list[Path]]:
    """The files in order; a name decides whether it ends a part, so a new one changes one part."""
    part: list[Path] = []
    for file in files:
        part.append(file)
        if zlib.crc32(file.name.encode(errors="replace")) % _FILES_PER_SHARD == 0:
            yield part
            part = []
    if part:
        yield part


class _Shard:
    """Some files and the place of their samples; its name changes when any of the files does."""

    def __init__(self, files: list[Path], cache: Path) -> None:
        digest = hashlib.sha256(f"{_FORMAT} {SAMPLE_RATE_HZ}\n".encode())
        for file in files:
            digest.update(f"{file.absolute()}|{_state(file)}\n".encode(errors="replace"))
        key = digest.hexdigest()[:24]
        self.files, self.audio, self.index = files, cache / f"{key}.int16", cache / f"{key}.json"

    def load(self) -> AudioStore | None:
        """What was decoded, or None if that is not there or not whole."""
        try:
            index = json.loads(self.index.read_text())
            clips = [Clip(self.files[i], self.audio, **facts) for i, facts in index["clips"]]
            skipped = {self.files[i]: Rejection(**facts) for i, facts in index["skipped"]}
            is_whole = self.audio.stat().st_size == 2 * sum(clip.length for clip in clips)
        except (OSError, ValueError, TypeError, KeyError, IndexError):
            return None
        return AudioStore(clips, skipped) if is_whole else None

    def write(self, results: Iterable[Decoded | Rejection]) -> None:
        """Store what decoding the files gave, in their order."""
        clips: list[tuple[int, dict[str, object]]] = []
        skipped: list[tuple[int, dict[str, object]]] = []
        offset = 0
        with atomic_file(self.audio) as partial, partial.open("wb") as out:
            for number, result in enumerate(results):
                if isinstance(result, Rejection):
                    skipped.append((number, asdict(result)))
                    continue
                out.write(result.samples.tobytes())
                clips.append((number, _facts(result, offset)))
                offset += len(result.samples)
        with atomic_file(self.index) as partial:
            partial.write_text(json.dumps({"clips": clips, "skipped": skipped}))


def _state(file: Path) -> str:
    """What changes when the file does."""
    try:
        status = file.stat()
    except OSError:
        return "unknown"
    return f"{status.st_size}|{status.st_mtime_ns}"


def _facts(decoded: Decoded, offset: int) -> dict[str, object]:
    return {
        "offset": offset,
        "length": len(decoded.samples),
        "peak": decoded.peak,
        "rate_hz": decoded.rate_hz,
        "channels": decoded.channels,
        "is_clipped": decoded.is_clipped,
    }


def _decode(shards: Sequence[_Shard], on_file: OnFile) -> None:
    total = sum(len(shard.files) for shard in shards)
    files = (file for shard in shards for file in shard.files)

    def counted(results: Iterable[Decoded | Rejection]) -> Iterator[Decoded | Rejection]:
        for done, result in enumerate(results, 1):
            on_file(done, total)
            yield result

    threads = os.cpu_count() or 1
    _mapped.cache_clear()  # a shard that was mapped before may be written anew
    with ThreadPoolExecutor(threads) as pool:
        results = counted(_decode_ahead(pool, files, 2 * threads))
        for shard in shards:
            shard.write(islice(results, len(shard.files)))


def _decode_ahead(
    pool: ThreadPoolExecutor, files: Iterable[Path], ahead: int
) -> Iterator[Decoded | Rejection]:
    """Every file decoded, in order, by threads that are at most `ahead` files in front."""
    waiting: deque[Future[Decoded | Rejection]] = deque()
    for file in files:
        waiting.append(pool.submit(decode, file))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
