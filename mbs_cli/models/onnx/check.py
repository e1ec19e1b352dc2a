"""Whether an ONNX file computes what its model does in torch, on speech.

`speech.flac` beside this file: 3 s of Russian speech with hum at 3 dB, 16 kHz; `speech.md` says
where it comes from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor, nn

from mbs_cli.audio.parameters import SAMPLE_RATE_HZ
from mbs_cli.audio.stft import istft, stft
from mbs_cli.models.onnx.session import OnnxModel
from mbs_cli.models.onnx.signature import Form

_SPEECH = Path(__file__).with_name("speech.flac")
_PIECES = (1, 2, 7, 60)  # frames of the first calls of a stream; the last call has the rest
_KEPT_FRAMES, _AHEAD_FRAMES = 60, 30  # of the windows of a model that looks ahead
_QUIETER = 0.1  # the level of the second signal


@torch.inference_mode()
def compare(model: nn.Module, exported: OnnxModel) -> tuple[float, float]:
    """The largest difference of the enhanced samples, full scale being 1, and of how many seconds.

    Two signals go side by side, through a stream in pieces of several lengths, and by a model that
    looks ahead on windows, with state carried from each to the next, in torch as well.
    """
    samples, _ = soundfile.read(_SPEECH, dtype="float32")
    signals = torch.from_numpy(samples).view(2, -1) * torch.tensor([[1.0], [_QUIETER]])
    framing = exported.framing
    spectrum = stft(signals, framing)
    match exported.info.form:
        case Form.STREAM:
            estimate, expected = _in_pieces(exported, spectrum), model(spectrum)
        case Form.WINDOW:
            estimate, expected = (_on_windows(way, spectrum) for way in (exported, model))
        case Form.WHOLE:
            estimate, expected = exported(spectrum), model(spectrum)
    length = signals.shape[1]
    difference = istft(estimate, length, framing) - istft(expected, length, framing)
    return float(difference.abs().max()), samples.size / SAMPLE_RATE_HZ


def _in_pieces(exported: OnnxModel, spectrum: Tensor) -> Tensor:
    rest = spectrum.shape[2] - sum(_PIECES)
    estimates, state = [], None
    for piece in spectrum.split([*_PIECES, rest], dim=2):
        estimate, state = exported.stream(piece, state)
        estimates.append(estimate)
    return torch.cat(estimates, dim=2)


def _on_windows(model: Any, spectrum: Tensor) -> Tensor:
    estimates, state = [], None
    for start in range(0, spectrum.shape[2], _KEPT_FRAMES):
        window = spectrum[:, :, start : start + _KEPT_FRAMES + _AHEAD_FRAMES]
        kept = min(_KEPT_FRAMES, window.shape[2])
        estimate, state = model.look_ahead(window, state, kept, kept)
        estimates.append(estimate)
    return torch.cat(estimates, dim=2)
