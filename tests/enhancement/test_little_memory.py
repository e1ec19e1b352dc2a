"""Too little memory, by a real limit: less at a time, the same result, and the rest goes on."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

import mbs_cli
from mbs_cli.audio.output_format import ClipPolicy, OutputFormat
from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.audio.stft import stft
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.report import Advanced, MovedToCpu, Status
from mbs_cli.enhancement.treatment import Treatment
from mbs_cli.enhancement.windowed import WindowedEnhancer
from mbs_cli.models.checkpoint import save_checkpoint
from mbs_cli.models.checkpoint_info import CheckpointInfo
from mbs_cli.models.config import PRESETS
from mbs_cli.models.registry import build_model

# Everything is loaded and warm before the limit: so many further megabytes can be had.
LIMIT = """
import resource, sys, threading
import torch
import mbs_cli
from mbs_cli.audio.stft import stft

checkpoint, room_mb, *paths = sys.argv[1:]
torch.set_num_threads(1)
torch.is_autocast_enabled = lambda _: True  # plain torch: the kernels need less than the files
threading.stack_size(256 * 1024)  # or the stacks of reading and writing take most of it
model = mbs_cli.load_model(checkpoint, "cpu")
mbs_cli.enhance_array(torch.randn(1_600).numpy(), 16_000, model=model, device="cpu")
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
used_bytes = int(status["VmData"].split()[0]) * 1024
limit_bytes = used_bytes + int(float(room_mb) * 1e6)
resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, resource.RLIM_INFINITY))
"""
# What is freed is free again, to the byte: no arenas, no heap with holes.
EXACT = {
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
}
WHOLE_BLOCK = """
with torch.inference_mode():
    model.stream(stft(torch.randn(1, 32_000), model.framing))
"""
FILES = """
report = mbs_cli.enhance_paths(paths[:-1], paths[-1], model=model, device="cpu")
for file in report.files:
    print(file.status, file.failure)
"""


@pytest.fixture
def limited(run_mbs, small_checkpoint):
    def run(script, room_mb, *paths, checkpoint=small_checkpoint):
        environment = os.environ | EXACT
        script = LIMIT + script
        return run_mbs(checkpoint, room_mb, *paths, script=script, env=environment)

    return run


@pytest.fixture
def wide_checkpoint(tmp_path):
    """A model whose blocks of 2 s need far more memory than reading and writing files does."""
    path = tmp_path / "wide.safetensors"
    model = build_model(replace(PRESETS["mbs-net-small"], features=320, layers=1))
    save_checkpoint(path, model, CheckpointInfo(preset="custom"))
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_a_block_that_does_not_fit_is_halved_without_a_trace(
    limited, tmp_path, wide_checkpoint, noisy_file
):
    room_mb = 26
    whole = limited(WHOLE_BLOCK, room_mb, checkpoint=wide_checkpoint)
    assert whole.returncode == 1
    assert "can't allocate memory" in whole.stderr
    halved = limited(FILES, room_mb, noisy_file, tmp_path / "out", checkpoint=wide_checkpoint)
    assert halved.stdout == "done None\n", halved.stderr
    mbs_cli.enhance_file(
        noisy_file, tmp_path / "usual.flac", model=wide_checkpoint, precision="float32"
    )
    usual, _ = soundfile.read(tmp_path / "usual.flac")
    assert np.abs(soundfile.read(tmp_path / "out" / noisy_file.name)[0] - usual).max() < 1e-4


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_what_does_not_fit_at_all_fails_by_itself(limited, tmp_path, noisy_speech):
    empty, speech = tmp_path / "a.wav", tmp_path / "b.wav"
    soundfile.write(empty, np.zeros(0), 16_000)
    soundfile.write(speech, noisy_speech, 16_000)
    result = limited(FILES, 5, speech, empty, tmp_path / "out")
    failure, done = result.stdout.splitlines()
    assert failure.startswith(f"failed {speech}: there is not enough memory")
    assert "mbs-net-small" in failure
    assert done == "done None"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


class Hungry(torch.nn.Module):
    """A model without memory for more than so many frames of all rows in one call."""

    def __init__(self, model, most_frames):
        super().__init__()
        self.model, self.most_frames, self.is_causal = model, most_frames, model.is_causal
        self.framing = model.framing

    def check(self, spectrum):
        if spectrum.shape[0] * spectrum.shape[2] > self.most_frames:
            torch.empty(1 << 50)

    def look_ahead(self, spectrum, state, kept, shown):
        self.check(spectrum)
        return self.model.look_ahead(spectrum, state, kept, shown)

    def stream(self, spectrum, state=None):
        self.check(spectrum)
        return self.model.stream(spectrum, state)


@pytest.mark.parametrize("most_frames", [3, 40, 100])
def test_a_stream_in_halves_is_the_whole(most_frames, small_model, noisy_speech):
    spectrum = stft(torch.from_numpy(noisy_speech[:48_000].reshape(2, -1)), FRAMES_16_MS)
    bounded = BoundedModel(Hungry(small_model, most_frames))
    with torch.inference_mode():
        pieces, _ = bounded.stream(spectrum)
        assert torch.allclose(pieces, small_model(spectrum), atol=1e-4)
    assert bounded.most_frames <= most_frames


def test_rows_of_a_model_that_looks_both_ways_go_one_by_one(both_ways, noisy_speech):
    spectrum = stft(torch.from_numpy(noisy_speech[:32_000].reshape(4, -1)), FRAMES_16_MS)
    frames = spectrum.shape[2]
    bounded = BoundedModel(Hungry(both_ways, most_frames=frames))
    with torch.inference_mode():
        first, states = bounded.look_ahead(spectrum, None, 20, 20)
        rest, _ = bounded.look_ahead(spectrum[:, :, 20:], states, frames - 20, frames - 20)
        assert torch.allclose(torch.cat([first, rest], dim=2), both_ways(spectrum), atol=1e-4)


def test_windows_that_do_not_fit_get_shorter(passthrough, noisy_speech):
    enhancer = WindowedEnhancer(Hungry(passthrough, most_frames=100), 1, 1.0, 0.25)
    signal = noisy_speech[None, :50_001]
    pieces = [enhancer.feed(signal[:, :30_000]), enhancer.feed(signal[:, 30_000:])]
    returned = np.concatenate([*pieces, enhancer.flush()], axis=1)
    assert returned.shape == signal.shape
    assert np.abs(returned - signal).max() < 1e-5


def test_one_call_too_many_is_not_taken_for_something_else(passthrough):
    bounded = BoundedModel(Hungry(passthrough, most_frames=0))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        bounded.stream(torch.zeros(1, 257, 40, 2))
    with pytest.raises(RuntimeError, match="stack expects"):
        BoundedModel(passthrough)._attempt(torch.stack, 1, 8, [])


def test_a_batch_that_did_not_fit_is_done_again_as_if_for_the_first_time(
    tmp_path, passthrough, noisy_speech
):
    (tmp_path / "in").mkdir()
    loud = 2 * noisy_speech[:16_000] / np.abs(noisy_speech[:16_000]).max()
    for name, sound in (("a.wav", loud), ("b.wav", -loud)):
        soundfile.write(tmp_path / "in" / name, sound, 16_000, subtype="FLOAT")
    events = []
    report = mbs_cli.enhance_paths(
        [tmp_path / "in"],
        tmp_path / "out",
        model=Hungry(passthrough, most_frames=1),  # two files in one call are too many
        treatment=Treatment(dry=0.5),
        output_format=OutputFormat(subtype="PCM_24", clip=ClipPolicy.RESCALE),
        on_event=events.append,
    )
    assert report.count(Status.DONE) == 2
    for name, sound in (("a.wav", loud), ("b.wav", -loud)):
        assert np.abs(soundfile.read(tmp_path / "out" / name)[0] - sound / 2).max() < 1e-5
    assert [file.gain_db for file in report.files] == pytest.approx([-6.02, -6.02], abs=0.01)
    advanced = sum(event.seconds for event in events if isinstance(event, Advanced))
    assert advanced == pytest.approx(report.audio_seconds)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_that_is_too_small_hands_over_to_the_cpu(tmp_path, small_model, noisy_file):
    events = []
    held = torch.cuda.memory_allocated()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((held + 4e6) / total)
    try:
        report = mbs_cli.enhance_paths(
            [noisy_file], tmp_path, model=small_model, device="cuda", on_event=events.append
        )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        small_model.to("cpu")
    assert report.count(Status.DONE) == 1
    assert events.count(MovedToCpu("cuda")) == 1
    advanced = sum(event.seconds for event in events if isinstance(event, Advanced))
    assert advanced == pytest.approx(report.audio_seconds)
