"""A model that computes no more at a time than there is memory for.

Letters: B rows (channels of one or several files), F frequency bins, T frames.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mbs_cli.audio.parameters import Framing
from mbs_cli.device import device_of
from mbs_cli.memory import is_out_of_memory

# Channel-seconds in one call, about 50 MB each. On a CPU a longer call is no faster, since its
# temporaries no longer fit the caches.
_CPU_SECONDS = 2.0
_GPU_SECONDS = 20.0
_LEAST_FRAMES = 12  # 0.1 to 0.2 s: below that, what does not shrink with the piece takes most


class BoundedModel(nn.Module):
    """Runs a model piece by piece, and from the moment memory runs out in pieces half as large.

    A causal model gets a stretch of frames at a time and carries its state on, any other model
    one row at a time: what comes out is what one call for all of it would give.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model
        self.most_frames = 0  # in one call, those of all rows counted
        self._reset()

    def _reset(self) -> None:
        seconds = _CPU_SECONDS if self.device.type == "cpu" else _GPU_SECONDS
        self.most_frames = int(seconds * self.framing.frames_per_second)

    @property
    def is_causal(self) -> bool:
        """Whether `stream` works."""
        return bool(self.model.is_causal)

    @property
    def framing(self) -> Framing:
        """The model's."""
        framing: Framing = self.model.framing
        return framing

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return device_of(self.model)

    def working_seconds(self, rows: int) -> float:
        """How much of a signal one call should get when that many channels share it."""
        return max(self.most_frames / rows, _LEAST_FRAMES) / self.framing.frames_per_second

    def take_less(self) -> bool:
        """From now on half as much in one call; False if that is the least already."""
        if self.most_frames <= _LEAST_FRAMES:
            return False
        self.most_frames //= 2
        return True

    def move_to_cpu(self) -> None:
        """Go on there, with pieces of the usual size."""
        self.model.to("cpu")
        _release_unused(self.device)
        self._reset()

    def stream(self, spectrum: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As the model's: (B, F, T, 2) and the state before to (B, F, T, 2) and the state after.

        Raises what tells of too little memory when there is none for a single frame.
        """
        rows, _, total, _ = spectrum.shape
        pieces: list[Tensor] = []
        done = 0
        while done < total:
            frames = max(1, min(self.most_frames // rows, total - done))
            piece = spectrum[:, :, done : done + frames]
            result = self._attempt(self.model.stream, rows, frames, piece, state)
            if result is not None:
                done += frames
                state = result[1]
                pieces.append(result[0])
        return torch.cat(pieces, dim=2), state

    def look_ahead(
        self, spectrum: Tensor, states: list[Any] | None, kept: int, shown: int
    ) -> tuple[Tensor, list[Any]]:
        """As the model's, row by row: estimates of the first `shown` frames of (B, F, T, 2), and
        the rows' states after the first `kept`, to be passed with the frames from there on.
        """
        known = states or [None] * len(spectrum)
        rows = [
            self.model.look_ahead(row, state, kept, shown)
            for row, state in zip(spectrum.split(1), known, strict=True)
        ]
        return torch.cat([estimate for estimate, _ in rows]), [state for _, state in rows]

    def _attempt(self, call: Any, fixed: int, divisible: int, *arguments: Any) -> Any:
        """What the call returns, or None if the next one should have half as much to do."""
        try:
            return call(*arguments)
        except (MemoryError, RuntimeError) as error:
            if divisible == 1 or not is_out_of_memory(error):
                raise
        _release_unused(self.device)
        self.most_frames = fixed * (divisible // 2)
        return None


def _release_unused(device: torch.device) -> None:
    """Give back what torch keeps of a device's memory for later use."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
