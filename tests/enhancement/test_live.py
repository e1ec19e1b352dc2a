"""The loop of `mbs live` with real speech and devices of every temper."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import soundfile

from mbs_cli.audio.simulated_card import SimulatedCard
from mbs_cli.enhancement.block_exchange import BlockExchange
from mbs_cli.enhancement.live import enhance_live
from mbs_cli.enhancement.streaming import StreamEnhancer
from mbs_cli.errors import AudioError, UsageError
from mbs_cli.models.config import PRESETS
from mbs_cli.models.registry import build_model

BLOCK = 256


class Card:
    """A device in memory, which records the speech and keeps what it plays."""

    sample_rate_hz = 16_000
    channels = 1
    block_samples = BLOCK
    own_delay_seconds = 0.0
    dropouts = 0

    def __init__(self, speech, pause_seconds):
        self.blocks = np.split(speech, len(speech) // BLOCK)
        self.played = []
        self.pause_seconds = pause_seconds
        self.thread = None

    @property
    def is_over(self):
        return not self.thread.is_alive()

    def start(self, exchange):
        self.thread = threading.Thread(target=self.run, args=[exchange])
        self.thread.start()

    def run(self, exchange):
        for block in self.blocks:
            self.played.append(exchange(block[None]))
            time.sleep(self.pause_seconds(exchange.__self__))

    def stop(self):
        self.thread.join()


def until_answered(exchange):
    """The model is as fast as it must be."""
    while not exchange._to_play:
        time.sleep(0.0005)
    return 0.0


def at_once(_exchange):
    """The model is far too slow."""
    return 0.0


def test_what_is_played_is_the_stream_late_by_what_is_told(small_model, noisy_speech):
    speech = noisy_speech[: 60 * BLOCK]
    card = Card(speech, until_answered)
    *_, status = enhance_live(card, small_model)
    assert (status.underruns, status.overruns) == (0, 0)
    assert status.seconds == pytest.approx(60 * BLOCK / 16_000)
    assert status.worst_block_seconds > 0
    played = np.concatenate(card.played, axis=1)[0]
    late = round((status.latency.model + status.latency.computing) * 16_000)
    assert late == 512 - small_model.framing.hop + BLOCK
    expected = StreamEnhancer(small_model).feed(speech)
    np.testing.assert_array_equal(played[:late], 0)
    rest = played[late:]
    assert np.abs(rest - expected[: len(rest)]).max() < 1e-5


def test_a_device_that_is_too_fast_is_never_held_up_and_its_losses_are_counted(
    small_model, noisy_speech
):
    card = Card(noisy_speech[: 300 * BLOCK], at_once)
    *_, status = enhance_live(card, small_model)
    assert len(card.played) == 300
    assert status.overruns > 200
    assert status.underruns > 200
    assert status.latency.computing <= 0.26
    assert status.seconds < 1.5


def test_blocks_keep_their_order_and_a_late_one_costs_one_silence():
    exchange = BlockExchange(channels=1, block_samples=1, most_waiting=3)

    def play(number):
        return float(exchange.exchange(np.full((1, 1), number, dtype=np.float32))[0, 0])

    def compute():
        exchange.give(exchange.take(0.0))

    assert play(1) == 0
    compute()
    assert play(2) == 1
    assert play(3) == 0  # the model is late
    assert exchange.underruns == 1
    for _ in range(2):
        compute()
    assert [play(4), play(5)] == [2, 3]
    assert exchange.take(0.0)[0, 0] == 4
    assert exchange.take(0.0)[0, 0] == 5
    assert exchange.take(0.0) is None
    assert exchange.overruns == 0


def test_a_model_that_looks_ahead_is_refused():
    model = build_model(PRESETS["mbs-net-bidirectional"])
    with pytest.raises(UsageError, match="looks ahead"):
        next(enhance_live(Card(np.zeros(BLOCK, dtype=np.float32), at_once), model))


def test_files_stand_in_for_a_sound_card_at_its_speed(tmp_path, passthrough, wide_band_speech):
    samples = wide_band_speech(48_000, 2)[:24_100]
    soundfile.write(tmp_path / "in.wav", samples, 48_000, subtype="FLOAT")
    card = SimulatedCard(tmp_path / "in.wav", tmp_path / "out.flac", block_seconds=0.02)
    begin = time.perf_counter()
    *_, status = enhance_live(card, passthrough)
    assert time.perf_counter() - begin >= 0.5
    played, rate_hz = soundfile.read(tmp_path / "out.flac", dtype="float32")
    assert rate_hz == 48_000
    assert played.shape == samples.shape
    assert status.seconds == pytest.approx(0.52)
    if status.underruns == status.overruns == 0:  # a busy machine may be late
        late = round((status.latency.model + status.latency.computing) * 48_000)
        assert np.abs(played[late:] - samples[:-late]).max() < 1e-3


def test_files_that_cannot_stand_in_are_told(tmp_path, passthrough, noisy_speech):
    path = tmp_path / "in.wav"
    soundfile.write(path, noisy_speech[:8_000], 16_000)
    with pytest.raises(UsageError, match="exists already"):
        SimulatedCard(path, path, 0.01)
    with pytest.raises(UsageError, match="suffix"):
        SimulatedCard(path, tmp_path / "out.txt", 0.01)
    card = SimulatedCard(path, tmp_path / "out.wav", 0.01)
    with path.open("ab") as growing:
        growing.write(bytes(100))
    with pytest.raises(AudioError, match="written to while it was read"):
        list(enhance_live(card, passthrough))
    assert not (tmp_path / "out.wav").exists()
