"""A stream at any rate, in blocks of any size, is the whole signal, and as late as it says."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from mbs_cli.audio.parameters import FRAMES_16_MS
from mbs_cli.enhancement.latency import waiting_samples
from mbs_cli.enhancement.streaming import StreamEnhancer
from mbs_cli.enhancement.treatment import ChannelMode, Treatment
from mbs_cli.errors import AudioError, UsageError


def enhance_in_pieces(stream, signal, piece_samples):
    pieces = [
        stream.feed(signal[:, start : start + piece_samples])
        for start in range(0, signal.shape[1], piece_samples)
    ]
    return np.concatenate([*pieces, stream.flush()], axis=1)


@pytest.mark.parametrize(
    ("rate_hz", "piece_samples", "treatment"),
    [
        (8_000, 61, Treatment()),
        (16_000, 128, Treatment(dry=0.2)),
        (44_100, 441, Treatment(channels=ChannelMode.MONO)),
        (48_000, 1_000, Treatment(channels=ChannelMode.INDEPENDENT, attenuation_limit_db=12)),
    ],
)
def test_pieces_equal_whole(rate_hz, piece_samples, treatment, small_model, wide_band_speech):
    signal = wide_band_speech(rate_hz, 2).T[:, : rate_hz // 2]
    whole = StreamEnhancer(small_model, rate_hz, 2, treatment=treatment)
    expected = np.concatenate([whole.feed(signal), whole.flush()], axis=1)
    stream = StreamEnhancer(small_model, rate_hz, 2, treatment=treatment)
    pieces = enhance_in_pieces(stream, signal, piece_samples)
    assert pieces.shape == (treatment.channels_out(2), signal.shape[1])
    assert np.abs(pieces - expected).max() < 1e-5


def test_one_channel_may_come_without_an_axis(small_model, noisy_speech):
    flat, rows = StreamEnhancer(small_model), StreamEnhancer(small_model)
    given = flat.feed(noisy_speech[:3_000])
    np.testing.assert_array_equal(given, rows.feed(noisy_speech[None, :3_000])[0])
    np.testing.assert_array_equal(flat.flush(), rows.flush()[0])


def test_what_cannot_be_fed_is_refused_and_leaves_the_stream_as_it_was(small_model, noisy_speech):
    signal = noisy_speech[None, :4_000]
    stream = StreamEnhancer(small_model)
    first = stream.feed(signal[:, :2_000])
    with pytest.raises(UsageError, match="expected \\(1, samples\\)"):
        stream.feed(np.zeros((2, 100), dtype=np.float32))
    for bad in (np.full((1, 100), np.nan, dtype=np.float32), np.full(100, np.inf)):
        with pytest.raises(AudioError, match="NaN"):
            stream.feed(bad)
    with pytest.raises(UsageError, match="an array of int16: expected floats"):
        stream.feed(np.ones(100, dtype=np.int16))
    rest = [stream.feed(signal[:, 2_000:]), stream.flush()]
    expected = enhance_in_pieces(StreamEnhancer(small_model), signal, 4_000)
    assert np.abs(np.concatenate([first, *rest], axis=1) - expected).max() < 1e-5
    with pytest.raises(UsageError, match="flushed"):
        stream.feed(signal)
    with pytest.raises(UsageError, match="channels 0"):
        StreamEnhancer(small_model, 16_000, 0)


@pytest.mark.parametrize(("rate_hz", "most_ms"), [(16_000, 32), (48_000, 110), (8_000, 240)])
def test_a_stream_is_as_late_as_is_said(rate_hz, most_ms, small_model, wide_band_speech):
    block = rate_hz // 125
    waiting = waiting_samples(rate_hz, block, small_model.framing)
    assert waiting <= most_ms / 1000 * rate_hz
    signal = wide_band_speech(rate_hz)[:rate_hz].T
    stream = StreamEnhancer(small_model, rate_hz)
    late = 0
    for start in range(0, signal.shape[1], block):
        late += block - stream.feed(signal[:, start : start + block]).shape[1]
        assert late <= waiting


def test_memory_does_not_grow_with_the_length_of_a_stream(passthrough, wide_band_speech):
    signal = wide_band_speech(48_000).T
    stream = StreamEnhancer(passthrough, 48_000)

    def bytes_after(seconds):
        for place in range(100 * seconds):
            start = place % 100 * 480
            stream.feed(signal[:, start : start + 480])
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        assert bytes_after(1) + 50_000 > bytes_after(9)  # a second has 192,000 bytes
    finally:
        tracemalloc.stop()


def test_a_model_that_looks_ahead_says_that_it_waits_for_a_window():
    assert waiting_samples(16_000, 1_600, FRAMES_16_MS, is_causal=False) > 16_000
