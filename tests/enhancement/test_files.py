"""Files in, files out, through the Python calls."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import correlate

import mbs_cli
from mbs_cli.audio.output_format import OutputFormat
from mbs_cli.audio.stft import istft, stft
from mbs_cli.enhancement.blocks import enhance_blocks
from mbs_cli.enhancement.bounded import BoundedModel
from mbs_cli.enhancement.report import Advanced, Finished, Started, Status
from mbs_cli.errors import AudioError, UsageError

RATES_HZ = [8_000, 11_025, 22_050, 44_100, 48_000, 96_000]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("channels", [1, 2])
def test_length_rate_channels_and_timing_are_kept(
    rate_hz, channels, tmp_path, passthrough, wide_band_speech
):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    samples = wide_band_speech(rate_hz, channels)[: 2 * rate_hz - 7]
    soundfile.write(source, samples, rate_hz, subtype="PCM_24")
    mbs_cli.enhance_file(source, target, model=passthrough)
    enhanced, rate_after = soundfile.read(target, always_2d=True)
    assert rate_after == rate_hz
    assert enhanced.shape == samples.shape
    lags = correlate(enhanced[:, 0], samples[:, 0], mode="same")
    assert lags.argmax() == len(samples) // 2


def test_a_file_equals_the_whole_signal_through_the_model(
    tmp_path, small_model, noisy_file, noisy_speech
):
    float_file, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(float_file, noisy_speech, 16_000, subtype="FLOAT")
    mbs_cli.enhance_file(float_file, target, model=small_model)
    with torch.inference_mode():
        spectrum = small_model(stft(torch.from_numpy(noisy_speech)[None], small_model.framing))
        whole = istft(spectrum, len(noisy_speech), small_model.framing)[0].numpy()
    assert np.abs(soundfile.read(target, dtype="float32")[0] - whole).max() < 1e-5


@pytest.mark.parametrize("block_seconds", [0.008, 0.3, 1.234, 60.0])
def test_the_block_size_of_a_file_does_not_show(block_seconds, passthrough, wide_band_speech):
    samples = wide_band_speech(44_100, channels=2).T
    pieces = round(samples.shape[1] / (block_seconds * 44_100)) + 1
    blocks = np.array_split(samples, pieces, axis=1)
    bounded = BoundedModel(passthrough)
    enhanced = np.concatenate(list(enhance_blocks(bounded, blocks, 44_100, 2)), axis=1)
    whole = np.concatenate(list(enhance_blocks(bounded, [samples], 44_100, 2)), axis=1)
    assert np.abs(enhanced - whole).max() < 1e-4


def test_batches_blocks_and_arrays_give_the_same(tmp_path, small_model, noisy_speech):
    (tmp_path / "in").mkdir()
    for place, samples in enumerate([20_001, 9_000, 31_000]):
        path = tmp_path / f"in/{place}.wav"
        soundfile.write(path, noisy_speech[:samples], 16_000, subtype="FLOAT")
    for batch_size in (1, 4):
        report = mbs_cli.enhance_paths(
            [tmp_path / "in"], tmp_path / f"{batch_size}", model=small_model, batch_size=batch_size
        )
        assert report.count(Status.DONE) == 3
    for name in ("0.wav", "1.wav", "2.wav"):
        alone, _ = soundfile.read(tmp_path / "1" / name, dtype="float32")
        together, _ = soundfile.read(tmp_path / "4" / name, dtype="float32")
        source, _ = soundfile.read(tmp_path / "in" / name, dtype="float32")
        array = mbs_cli.enhance_array(source, 16_000, model=small_model)
        assert np.abs(alone - together).max() < 1e-5
        assert np.abs(alone - array).max() < 1e-5


def test_output_scales_with_the_input(small_model, noisy_speech):
    samples = noisy_speech[:24_000]
    loud = mbs_cli.enhance_array(samples, 16_000, model=small_model)
    quiet = mbs_cli.enhance_array(samples * 0.01, 16_000, model=small_model)
    assert np.abs(loud - quiet * 100).max() < 1e-3 * np.abs(loud).max()


def test_arrays_keep_their_shape(passthrough, wide_band_speech):
    samples = wide_band_speech(44_100, channels=2)
    assert np.allclose(
        mbs_cli.enhance_array(samples, 44_100, model=passthrough),
        mbs_cli.enhance_array(samples.T, 44_100, model=passthrough).T,
    )
    for shape in [(0,), (1,), (500,), (500, 1), (2, 500)]:
        assert mbs_cli.enhance_array(np.zeros(shape), 8_000, model=passthrough).shape == shape


def test_arrays_that_are_no_sound_are_refused(passthrough):
    with pytest.raises(UsageError, match="int16"):
        mbs_cli.enhance_array(np.zeros(100, dtype=np.int16), 16_000, model=passthrough)
    with pytest.raises(UsageError, match="shape"):
        mbs_cli.enhance_array(np.zeros((2, 2, 2)), 16_000, model=passthrough)
    with pytest.raises(UsageError, match="rate"):
        mbs_cli.enhance_array(np.zeros(100), 0, model=passthrough)
    with pytest.raises(AudioError, match="NaN"):
        mbs_cli.enhance_array(np.full(100, np.nan), 16_000, model=passthrough)


def test_events_and_report_agree(tmp_path, passthrough, noisy_file):
    (tmp_path / "in").mkdir()
    shutil.copy(noisy_file, tmp_path / "in/a.flac")
    (tmp_path / "in/b.wav").write_bytes(b"nothing")
    events = []
    report = mbs_cli.enhance_paths(
        [tmp_path / "in"], tmp_path / "out", model=passthrough, on_event=events.append
    )
    seconds = soundfile.info(noisy_file).duration
    assert [event for event in events if isinstance(event, Started)] == [Started(2, seconds)]
    advanced = sum(event.seconds for event in events if isinstance(event, Advanced))
    assert advanced == pytest.approx(seconds)
    assert {event.report for event in events if isinstance(event, Finished)} == set(report.files)
    assert [file.status for file in report.files] == [Status.DONE, Status.FAILED]
    assert report.audio_seconds == pytest.approx(seconds)


def test_finished_files_are_left_alone_unless_told(tmp_path, passthrough, noisy_file):
    target = tmp_path / noisy_file.name
    target.write_bytes(b"before")
    first = mbs_cli.enhance_paths([noisy_file], tmp_path, model=passthrough)
    assert first.files[0].status is Status.SKIPPED
    assert target.read_bytes() == b"before"
    second = mbs_cli.enhance_paths([noisy_file], tmp_path, model=passthrough, overwrite=True)
    assert second.files[0].status is Status.DONE
    assert soundfile.info(target).frames == soundfile.info(noisy_file).frames


def test_progress_shows_a_bar(tmp_path, passthrough, noisy_file, capsys):
    mbs_cli.enhance_paths([noisy_file], tmp_path, model=passthrough, progress=True)
    assert "100%" in capsys.readouterr().err


def test_one_file_raises_what_went_wrong(tmp_path, passthrough, noisy_file):
    with pytest.raises(AudioError, match="no such file"):
        mbs_cli.enhance_file(tmp_path / "no.wav", tmp_path / "out.wav", model=passthrough)
    with pytest.raises(UsageError, match="would be the input"):
        mbs_cli.enhance_file(noisy_file, noisy_file, model=passthrough)


@pytest.mark.parametrize(
    ("name", "wanted", "container"),
    [
        ("clean.wav", OutputFormat(), "WAV"),
        ("clean.OGG", OutputFormat(sample_rate_hz=8_000), "OGG"),
        ("clean.aiff", OutputFormat(container="aiff"), "AIFF"),
        ("clean.flac", OutputFormat(), "FLAC"),
        ("clean.flac.bak", OutputFormat(), "FLAC"),
        ("clean", OutputFormat(container="wav"), "WAV"),
    ],
)
def test_the_suffix_of_a_file_is_its_format(
    name, wanted, container, tmp_path, passthrough, noisy_file
):
    target = tmp_path / name
    mbs_cli.enhance_file(noisy_file, target, model=passthrough, output_format=wanted)
    found = soundfile.info(target)
    assert found.format == container
    assert found.samplerate == (wanted.sample_rate_hz or 16_000)


@pytest.mark.parametrize(
    ("name", "wanted", "hint"),
    [
        ("clean.wav", "flac", "clean.flac, or give --format wav"),
        ("clean.flac", "wav", "clean.wav, or give --format flac"),
        ("clean.wma", None, "name it clean.flac$"),
    ],
)
def test_a_suffix_of_another_format_is_refused(name, wanted, hint, passthrough, noisy_file):
    output_format = OutputFormat(container=wanted)
    with pytest.raises(UsageError, match=name) as caught:
        mbs_cli.enhance_file(noisy_file, name, model=passthrough, output_format=output_format)
    assert re.search(hint, caught.value.hint)


def test_memory_does_not_grow_with_length(tmp_path, run_mbs, small_checkpoint, noisy_speech):
    peaks_mib = []
    for seconds in (20, 80):
        path = tmp_path / f"{seconds}.wav"
        samples = np.resize(noisy_speech, seconds * 16_000)
        soundfile.write(path, samples, 16_000)
        script = (
            "import mbs_cli; from mbs_cli.training.peak_memory import peak_resident_bytes; "
            f"mbs_cli.enhance_file({str(path)!r}, {str(path) + '.out'!r}, "
            f"model={str(small_checkpoint)!r}); "
            "print(peak_resident_bytes())"
        )
        peaks_mib.append(int(run_mbs(script=script).stdout) / 2**20)
    # 60 s more: 4 MiB of samples, 60 MiB of spectra, 3 GiB in the model
    assert peaks_mib[1] < peaks_mib[0] + 50
    assert peaks_mib[1] < 700
