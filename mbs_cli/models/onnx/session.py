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

from mbs_cli.errors import CheckpointError
from mbs_cli.memory import is_out_of_memory
from mbs_cli.models.onnx.packages import require_onnx
from mbs_cli.models.onnx.reading import read_onnx
from mbs_cli.models.onnx.signature import ESTIMATE, SIGNALS, SPECTRUM, Form, state_shapes

# Frames of all signals of a call together: so few that temporaries fit the caches of a CPU.
_BLOCK_FRAMES = 64

State = dict[str, NDArray[np.float32]]


class OnnxModel(nn.Module):
    """On the CPU, with as many threads as torch has when it is made."""

    def __init__(self, path: Path) -> None:
        """Raises CheckpointError for a file that `mbs export` did not write, UsageError if the
        packages are not installed.
        """
        super().__init__()
        require_onnx()
        content, self.info = read_onnx(path)
        self._session = _open_session(content, path)
        self._outputs = [output.name for output in self._session.get_outputs()]

    @property
    def is_causal(self) -> bool:
        """Whether `stream` works."""
        return self.info.form is Form.STREAM

    def forward(self, spectrum: Tensor) -> Tensor:
        """The clean estimate (B, F, T, 2) of whole signals (B, F, T, 2)."""
        if self.is_causal:
            return self.stream(spectrum)[0]
        return self._run(spectrum, {})[0]

    def stream(self, spectrum: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `forward`, for the next T >= 1 frames, and the state to pass with the frames after."""
        signals = spectrum.shape[0]
        if state is None:
            state = self._silence(signals)
        estimates = []
        for block in spectrum.split(max(1, _BLOCK_FRAMES // signals), dim=2):
            estimate, state = self._run(block, state)
            estimates.append(estimate.transpose(1, 2))  # as `stft` has it: frames lie in one piece
        return torch.cat(estimates, dim=1).transpose(1, 2), state

    def _silence(self, signals: int) -> State:
        shapes = state_shapes(self.info.config)
        return {
            name: np.zeros([signals if length == SIGNALS else length for length in shape], "f4")
            for name, shape in shapes.items()
        }

    def _run(self, spectrum: Tensor, state: State) -> tuple[Tensor, State]:
        frames_first = spectrum.permute(2, 0, 1, 3).contiguous().numpy()
        results = self._call({SPECTRUM: frames_first, **state})
        estimate = torch.from_numpy(results.pop(ESTIMATE)).permute(1, 2, 0, 3)
        return estimate, {name.removeprefix(NEXT): value for name, value in results.items()}

    def _call(self, inputs: dict[str, NDArray[np.float32]]) -> State:
        try:
            return dict(zip(self._outputs, self._session.run(None, inputs), strict=True))
        except Exception as error:
            # Its errors are of no class that Python knows.
            failure = RuntimeError(str(error))
        ...
