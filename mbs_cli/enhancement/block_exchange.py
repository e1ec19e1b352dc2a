"""Between a device that must never wait and a model that takes its time: two queues of blocks."""

from __future__ import annotations

from collections import deque
from queue import Empty, SimpleQueue

from mbs_cli.audio.samples import Samples, silence


class BlockExchange:
    """The device calls `exchange` in its thread, the model's thread calls `take` and `give`.

    A block of silence goes ahead, so that the model has one block's time to compute. When it is
    late, the device plays silence once and everything is a block later from then on, which makes
    up for a busy machine; when `most_waiting` blocks wait, the device's next one is left out.
    """

    def __init__(self, channels: int, block_samples: int, most_waiting: int) -> None:
        self._silence = silence(channels, block_samples)
        self._recorded: SimpleQueue[Samples] = SimpleQueue()
        self._to_play = deque([self._silence])
        self._most_waiting = most_waiting
        self.waiting = 1  # blocks that were recorded, or went ahead, and are not played yet
        self.underruns = 0
        self.overruns = 0

    def exchange(self, recorded: Samples) -> Samples:
        """Take the block just recorded, return the next to play; neither locks nor waits."""
        if self.waiting < self._most_waiting:
            self._recorded.put(recorded)
            self.waiting += 1
        else:
            self.overruns += 1
        try:
            block = self._to_play.popleft()
        except IndexError:
            self.underruns += 1
            return self._silence
        self.waiting -= 1
        return block

    def take(self, timeout_seconds: float) -> Samples | None:
        """The next recorded block, None if none comes in that time."""
        try:
            return self._recorded.get(timeout=timeout_seconds)
        except Empty:
            return None

    def give(self, block: Samples) -> None:
        """Hand over a block to play."""
        self._to_play.append(block)
