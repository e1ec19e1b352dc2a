"""A model that onnxruntime runs, behind the interface of our torch models.

Letters: B signals, F = 257 frequency bins, T frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mbs_cli.audio.parameters import BINS, Framing
from mbs_cli.errors import CheckpointError
from mbs_cli.models.onnx.packages import keep_onnxruntime_quiet
from mbs_cli.models.onnx.reading import read_onnx
from mbs_cli.models.onnx.signature import (
    KEPT,
    SIGNALS,
    SPECTRUM,
    Form,
    Shape,
    output_shapes,
    state_shapes,
)

# Frames of all signals of a call together: so few that temporaries fit the caches of a CPU.
_BLOCK_FRAMES = 64
_SILENT = 4  # the level of messages from which onnxruntime prints; what fails is raised

Arrays = dict[str, NDArray[np.float32]]


class OnnxModel(nn.Module):
    """On the CPU, with as many threads as torch has when it is made.

    Raises CheckpointError for a file that `mbs export` did not write.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        content, self.info = read_onnx(path)
        self._outputs = list(output_shapes(self.info.config, self.info.form))
        try:
            self._session = open_session(content)
            self._try()
        except RuntimeError as error:
            raise CheckpointError(f"{path} is damaged: {error}", "export it again") from error

    @property
    def is_causal(self) -> bool:
        """Whether `stream` works."""
        return self.info.form is Form.STREAM

    @property
    def framing(self) -> Framing:
        """How the signals behind the spectra are cut into frames."""
        return self.info.config.framing

    def forward(self, spectrum: Tensor) -> Tensor:
        """The clean estimate (B, F, T, 2) of whole signals (B, F, T, 2)."""
        if self.is_causal:
            return self.stream(spectrum)[0]
        if self.info.form is Form.WHOLE:
            return self._run(spectrum, {})[0]
        return self.look_ahead(spectrum, None, spectrum.shape[2], spectrum.shape[2])[0]

    def stream(self, spectrum: Tensor, state: Arrays | None = None) -> tuple[Tensor, Arrays]:
        """As `forward`, for the next T >= 1 frames, and the state to pass with those after them."""
        signals = spectrum.shape[0]
        if state is None:
            state = self._silence(signals)
        estimates = []
        for block in spectrum.split(max(1, _BLOCK_FRAMES // signals), dim=2):
            estimate, state = self._run(block, state)
            estimates.append(estimate.transpose(1, 2))  # as `stft` has it: frames lie in one piece
        return torch.cat(estimates, dim=1).transpose(1, 2), state

    def look_ahead(
        self, spectrum: Tensor, state: Arrays | None, kept: int, shown: int
    ) -> tuple[Tensor, Arrays]:
        """As `MbsNet.look_ahead`, of a file of the window form."""
        if state is None:
            state = self._silence(spectrum.shape[0])
        estimate, state = self._run(spectrum, state, kept)
        return estimate[:, :, :shown], state

    def _try(self) -> None:
        """Raises RuntimeError if frames and state do not go through."""
        silence = torch.zeros(2, BINS, 3, 2)
        estimate = self(silence)
        if self.is_causal:
            _, state = self.stream(silence)
            estimate, _ = self.stream(silence, state)
        elif self.info.form is Form.WINDOW:
            _, state = self.look_ahead(silence, None, 2, 3)
            estimate, _ = self.look_ahead(silence, state, 2, 3)
        if estimate.shape != silence.shape:
            raise RuntimeError("it does not keep the shape of a spectrum")

    def _silence(self, signals: int) -> Arrays:
        def zeros(shape: Shape) -> NDArray[np.float32]:
            lengths = [signals if length == SIGNALS else int(length) for length in shape]
            return np.zeros(lengths, np.float32)

        return {name: zeros(shape) for name, shape in state_shapes(self.info.config).items()}

    def _run(
        self, spectrum: Tensor, state: Arrays, kept: int | None = None
    ) -> tuple[Tensor, Arrays]:
        inputs = {SPECTRUM: spectrum.permute(2, 0, 1, 3).contiguous().numpy(), **state}
        if kept is not None:
            inputs[KEPT] = np.array(kept, np.int64)
        try:
            results = self._session.run(self._outputs, inputs)
        except Exception as error:  # of no class that tells more than its text
            raise RuntimeError(str(error)) from error
        estimate, *states = results
        after = dict(zip(state, states, strict=True))
        return torch.from_numpy(estimate).permute(1, 2, 0, 3), after


def open_session(content: bytes) -> Any:
    """A session of onnxruntime; raises RuntimeError for what that refuses."""
    keep_onnxruntime_quiet()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # on busy cores
    options.log_severity_level = _SILENT
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RuntimeError(str(error)) from error
