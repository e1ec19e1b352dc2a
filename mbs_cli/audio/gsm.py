"""GSM 6.10 in a WAV (telephone, voicemail): two frames of 160 samples in 65 bytes.

An odd number of these blocks is followed by a byte that makes the chunk even, as RIFF asks for.
libsndfile takes that for one block more, and decodes noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import soundfile

from mbs_cli.audio.joined import chunks

_BLOCK_BYTES, _BLOCK_SAMPLES = 65, 320


def open_whole_blocks(path: Path, sound: soundfile.SoundFile) -> soundfile.SoundFile:
    """The same file with the blocks that are there as its `frames`; takes over `sound`."""
    try:
        with path.open("rb") as stream:
            sizes = [length for _, kind, _, length in chunks(stream) if kind == b"data"]
    except BaseException:
        sound.close()
        raise
    name = sound.name
    whole = sizes[0] // _BLOCK_BYTES * _BLOCK_SAMPLES if sizes else sound.frames
    if whole >= sound.frames:
        return sound
    sound.close()
    return _WholeBlocks(name, whole)


class _WholeBlocks(soundfile.SoundFile):  # type: ignore[misc] # has no types of its own
    def __init__(self, name: bytes | Path, frames: int) -> None:
        self._whole_frames = frames
        self._given = 0
        super().__init__(name)

    @property
    def frames(self) -> int:
        return self._whole_frames

    def read(self, frames: int = -1, *args: Any, **options: Any) -> Any:
        """As many samples as there are; libsndfile cannot seek here, and does not count."""
        left = self._whole_frames - self._given
        samples = super().read(left if frames < 0 else min(frames, left), *args, **options)
        self._given += len(samples)
        return samples
