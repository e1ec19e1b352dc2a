"""`mbs enhance` between real pipes: the sound, how late it is, and how each side may end."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.file_info import read_info
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.pcm import PcmFormat
from mbs_cli.audio.reader import read_blocks
from mbs_cli.audio.wav_stream import make_header
from mbs_cli.enhancement.engine import Engine
from mbs_cli.enhancement.pipe import enhance_pipe
from mbs_cli.enhancement.treatment import Treatment

MONO = PcmFormat(16_000, 1, "FLOAT")


@pytest.fixture
def enhance(run_mbs, small_checkpoint):
    """Run with bytes on standard input; standard output and error come back as bytes."""

    def run(*arguments, **options):
        command = ("enhance", *arguments, "--model", small_checkpoint, "--threads", 1)
        return run_mbs(*command, text=False, **options)

    return run


@pytest.fixture
def start(small_checkpoint, tmp_path):
    """Start with pipes on all sides."""
    running = []

    def begin(*arguments):
        command = ["-m", "mbs_cli", "enhance", *arguments, "--model", str(small_checkpoint)]
        process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=tmp_path,
        )
        watchdog = threading.Timer(100, process.kill)  # what should come might never
        watchdog.start()
        running.append((process, watchdog))
        return process

    yield begin
    for process, watchdog in running:
        watchdog.cancel()
        process.kill()
        process.communicate()


def read_bytes(stream, size):
    received = b""
    while len(received) < size and (more := os.read(stream.fileno(), size - len(received))):
        received += more
    return received


def test_a_pipe_gives_what_a_file_gives(enhance, tmp_path, wide_band_speech):
    samples = wide_band_speech(44_100, 2)[:44_100]
    soundfile.write(tmp_path / "in.wav", samples, 44_100, subtype="FLOAT")
    options = ("--attenuation-limit", 20, "--sample-rate", 48_000)
    assert enhance("in.wav", "-o", "out.wav", *options).returncode == 0
    expected, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    layout = PcmFormat(44_100, 2, "FLOAT")
    stream = make_header(layout, None) + layout.encode(samples.T)
    piped = enhance("-", "-o", "-", *options, input=stream)
    assert piped.returncode == 0, piped.stderr
    (tmp_path / "piped.wav").write_bytes(piped.stdout)
    returned, rate_hz = soundfile.read(tmp_path / "piped.wav", dtype="float32")
    assert rate_hz == 48_000
    assert returned.shape == expected.shape
    assert np.abs(returned - expected).max() < 1e-5
    assert b"2 channels" in piped.stderr


def test_a_file_goes_into_a_pipe_and_a_pipe_into_a_file(enhance, tmp_path, noisy_speech):
    soundfile.write(tmp_path / "in.flac", noisy_speech[:8_001], 16_000)
    sent = enhance("in.flac", "-o", "-", "--subtype", "PCM_24")
    assert sent.returncode == 0, sent.stderr
    (tmp_path / "sent.wav").write_bytes(sent.stdout)
    info = soundfile.info(tmp_path / "sent.wav")
    assert (info.subtype, info.frames) == ("PCM_24", 8_001)
    options = ("-", "-o", "kept.flac", "--raw", "16000,s24le,1")
    kept = enhance(*options, "--json", input=sent.stdout[44:-1])
    assert kept.returncode == 0, kept.stderr
    assert json.loads(kept.stdout)["totals"]["done"] == 1
    assert soundfile.info(tmp_path / "kept.flac").frames == info.frames
    again = enhance(*options, input=b"")
    assert again.returncode == 2
    assert b"--overwrite" in again.stderr


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_ffmpeg_on_both_sides(tmp_path, small_checkpoint, noisy_file):
    mbs = f"{sys.executable} -m mbs_cli enhance - -o - --model {small_checkpoint}"
    command = (
        f"ffmpeg -v error -t 1 -i {noisy_file} -f wav - | {mbs} | "
        "ffmpeg -v error -f wav -i - -c:a flac out.flac"
    )
    result = subprocess.run(
        command, shell=True, capture_output=True, check=False, cwd=tmp_path, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert soundfile.info(tmp_path / "out.flac").frames == 16_000


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("frames", [None, 32_000])
def test_a_pipe_into_aac_is_not_late(frames, tmp_path, passthrough, noisy_speech):
    from scipy.signal import correlate

    speech = noisy_speech[:32_000]
    stream = io.BytesIO(make_header(MONO, frames) + MONO.encode(speech[None]))
    enhance_pipe(
        stream,
        tmp_path / "out.aac",
        Engine(passthrough),
        treatment=Treatment(),
        output_format=OutputFormat(),
        on_event=lambda event: None,
    )
    found = np.concatenate(list(read_blocks(read_info(tmp_path / "out.aac"), 8_000)), axis=1)[0]
    assert len(found) == pytest.approx(len(speech), abs=2 * 1_024)
    length = min(len(found), len(speech))
    late = correlate(found[:length], speech[:length], mode="same")
    assert late.argmax() == length // 2


def test_an_endless_stream_comes_back_at_once_and_ends_quietly_with_its_reader(start, noisy_speech):
    process = start("-", "-o", "-")
    process.stdin.write(make_header(MONO, None))
    assert read_bytes(process.stdout, 44)[:4] == b"RIFF"
    step, late = 1_280, 256  # 80 ms, and what the model's window holds back
    for place in range(10):
        block = noisy_speech[None, place * step : (place + 1) * step]
        process.stdin.write(MONO.encode(block))
        given = step if place else step - late
        assert len(read_bytes(process.stdout, 4 * given)) == 4 * given
    process.stdout.close()
    process.stdin.write(MONO.encode(noisy_speech[None, :step]))
    assert process.wait(timeout=60) == 141
    lines = process.stderr.read().decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("stream: 16000 Hz, 1 channels")


@pytest.mark.parametrize(
    ("stream", "told", "samples"),
    [
        (b"", "the stream is empty", None),
        (make_header(MONO, 9_000) + bytes(20_000), "its header promises 0.562 s", 5_000),
        (make_header(MONO, None) + bytes(20_003), "in the middle of a sample", 5_000),
        (make_header(MONO, None) + bytes(8_000) + b"\0\0\xc0\x7f" * 9, "is nan", 2_000),
    ],
)
def test_a_bad_stream_is_enhanced_up_to_there_and_told(enhance, stream, told, samples):
    result = enhance("-", "-o", "-", input=stream)
    assert result.returncode == 1
    assert told in result.stderr.decode()
    assert b"hint:" in result.stderr
    assert b"Traceback" not in result.stderr
    assert len(result.stdout) == (0 if samples is None else 44 + 4 * samples)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_input_and_keeps_the_recording(number, start, tmp_path, noisy_speech):
    process = start("-", "-o", "kept.wav", "--raw", "16000,f32le,1")
    process.stdin.write(MONO.encode(noisy_speech[None, :16_000]))
    while b"stream:" not in process.stderr.readline():
        pass
    threading.Timer(0.5, process.send_signal, [number]).start()
    assert process.wait(timeout=60) == 130
    assert soundfile.info(tmp_path / "kept.wav").frames == 16_000


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-", "-o", "-", "--jobs", 2), "--jobs"),
        (("-", "-o", "-", "--shard", "1/2"), "--shard"),
        (("-", "-o", "-", "--manifest", "a.csv"), "--manifest"),
        (("-", "-o", "a.wav", "--report", "a.html"), "--report"),
        (("-", "-o", "-", "--json"), "--json"),
        (("-", "-o", "-", "--overwrite"), "--overwrite"),
        (("-", "-o", "-", "--format", "flac"), "--format flac"),
        (("-", "-o", "-", "--raw", "16000,pcm,1"), "pcm is no sample format"),
        (("-", "a.wav", "-o", "-"), "2 inputs"),
        (("a.wav", "-o", "b.wav", "--raw", "16000,s16le,1"), "not read"),
        ((".", "-o", "-"), "a folder"),
    ],
)
def test_what_a_stream_cannot_do_is_wrong_usage(options, told, run_mbs):
    result = run_mbs("enhance", *options, stdin=subprocess.DEVNULL)
    assert result.returncode == 2
    assert told in result.stderr
    assert result.stdout == ""
