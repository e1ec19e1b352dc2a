"""Files of many hours: sizes past what WAV can count."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.file_info import AudioFileInfo, read_info
from mbs_cli.audio.writer import AudioWriter

HOURS = 3_600 * 48_000


@pytest.mark.parametrize(
    ("container", "subtype", "frames", "magic"),
    [
        ("WAV", "PCM_16", 6 * HOURS, b"RIFF"),
        ("WAV", "PCM_16", 7 * HOURS, b"RF64"),
        ("WAVEX", "PCM_16", 7 * HOURS, b"RF64"),
        ("WAV", "PCM_24", 5 * HOURS, b"RF64"),
        ("WAV", "FLOAT", 3 * HOURS, b"RIFF"),
        ("WAV", "FLOAT", 4 * HOURS, b"RF64"),
        ("W64", "FLOAT", 4 * HOURS, b"riff"),
    ],
)
def test_a_wav_past_4_gib_becomes_rf64(container, subtype, frames, magic, tmp_path):
    info = AudioFileInfo(tmp_path / "in.wav", 48_000, 2, frames, container, subtype, "FILE")
    target = tmp_path / "out.wav"
    with AudioWriter(target, info) as writer:
        writer.write(np.full((2, 1_000), 0.25, dtype=np.float32))
    assert target.read_bytes()[:4] == magic
    samples, rate_hz = soundfile.read(target)
    assert (samples.shape, rate_hz) == ((1_000, 2), 48_000)
    assert (samples == 0.25).all()
    assert read_info(target).frames == 1_000
