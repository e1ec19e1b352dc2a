"""Decoded audio on disk: every file is decoded and resampled once, then read as mapped memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbs_cli.atomic_file import atomic_file
from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.errors import DataError

_FULL_SCALE = 32767.0


@dataclass(frozen=True)
class AudioStore:
    """Decoded clips at 16 kHz mono, one after the other in one mapped int16 array."""

    samples: NDArray[np.int16]
    offsets: NDArray[np.int64]  # clip i is samples[offsets[i] : offsets[i + 1]]
    files: list[Path]
    skipped: dict[str, str]  # file -> why it could not be read
    on_read: Callable[[Path], None] | None = None  # told of the file of every read

    def length(self, clip: int) -> int:
        """How many samples clip `clip` has."""
        return int(self.offsets[clip + 1] - self.offsets[clip])

    def read(self, clip: int, start: int = 0, count: int | None = None) -> NDArray[np.float32]:
        """Samples of one clip in [-1, 1], from `start`, at most `count`."""
        if self.on_read is not None:
            self.on_read(self.files[clip])
        first = int(self.offsets[clip]) + start
        last = int(self.offsets[clip + 1])
        if count is not None:
            last = min(last, first + count)
        return self.samples[first:last].astype(np.float32) / _FULL_SCALE

    @property
    def hours(self) -> float:
        """How much audio there is."""
        return len(self.samples) / SAMPLE_RATE_HZ / 3600


def open_store(
    files: Sequence[Path], cache: Path, on_file: Callable[[int, int], None] | None = None
) -> AudioStore:
    """The decoded clips of `files`, from `cache` if these very files were decoded before.

    `on_file(done, total)` is told of every file decoded. Files that cannot be read are left out
    and named in `skipped`; raises DataError if none can.
    """
    key = _fingerprint(files)
    audio_path, index_path = cache / f"{key}.int16", cache / f"{key}.json"
    if not index_path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _decode_all(files, audio_path, index_path, on_file)
    index = json.loads(index_path.read_text())
    if not index["lengths"]:
        reason = next(iter(index["skipped"].items()), ("", "no files"))
        raise DataError(f"none of {len(files)} audio files could be read: {reason[0]}: {reason[1]}")
    offsets = np.concatenate([[0], np.cumsum(index["lengths"], dtype=np.int64)])
    samples = np.memmap(audio_path, np.int16, "r", shape=(int(offsets[-1]),))
    return AudioStore(samples, offsets, [Path(file) for file in index["files"]], index["skipped"])


def _fingerprint(files: Sequence[Path]) -> str:
    digest = hashlib.sha256(str(SAMPLE_RATE_HZ).encode())
    for file in files:
        stat = file.stat()
        digest.update(f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:24]


def decode(file: Path) -> NDArray[np.int16]:
    """One file as 16 kHz mono int16. Raises DataError that says why it cannot be used."""
    import soundfile

    try:
        samples, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"cannot be read: {error}") from error
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise DataError("holds samples that are not finite numbers")
    if rate_hz != SAMPLE_RATE_HZ:
        import soxr

        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    if not mono.any():
        raise DataError("is empty or digital silence")
    peak = float(np.abs(mono).max())
    clip: NDArray[np.int16] = np.round(mono * (_FULL_SCALE / max(peak, 1.0))).astype(np.int16)
    return clip


def _decode_all(
    files: Sequence[Path],
    audio_path: Path,
    index_path: Path,
    on_file: Callable[[int, int], None] | None,
) -> None:
    def attempt(file: Path) -> NDArray[np.int16] | str:
        try:
            return decode(file)
        except DataError as error:
            return error.message

    lengths: list[int] = []
    kept: list[str] = []
    skipped: dict[str, str] = {}
    with (
        atomic_file(audio_path) as partial,
        partial.open("wb") as out,
        ThreadPoolExecutor() as pool,
    ):
        for done, (file, clip) in enumerate(zip(files, pool.map(attempt, files), strict=True)):
            if isinstance(clip, str):
                skipped[str(file)] = clip
            else:
                out.write(clip.tobytes())
                lengths.append(len(clip))
                kept.append(str(file))
            if on_file is not None:
                on_file(done + 1, len(files))
    with atomic_file(index_path) as partial:
        partial.write_text(json.dumps({"files": kept, "lengths": lengths, "skipped": skipped}))
