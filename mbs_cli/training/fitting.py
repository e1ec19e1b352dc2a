"""Training when memory is short: which micro-batch fits, found by trying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mbs_cli.errors import OutOfMemory
from mbs_cli.memory import is_out_of_memory
from mbs_cli.training.loader import longest_clip
from mbs_cli.training.step import Learner

Clips = tuple[Tensor, Tensor]  # noisy and clean (B, S)


def fits(work: Callable[[], object]) -> bool:
    """Whether `work` gets through without running out of memory; other errors are raised."""
    try:
        work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def make_room(learner: Learner) -> None:
    """Let go of what a step that failed has left."""
    learner.optimizer.zero_grad(set_to_none=True)
    if learner.device.type == "cuda":
        torch.cuda.empty_cache()


def fitting_micro_batch(learner: Learner, clips: Clips) -> int:
    """The largest number of clips at a time that fits, of the present one, its half, and so on.

    It is the same for all processes: the smallest of theirs. Raises OutOfMemory if one clip does
    not fit, or the longest that a later step may have.
    """
    longest = _longest_of(learner, clips)
    if longest[0].shape[1] > clips[0].shape[1] and not _rehearsal_fits(learner, longest, 1):
        raise memory_error(learner, longest)
    size = min(learner.micro_batch or len(clips[0]), len(clips[0]))
    while not _rehearsal_fits(learner, clips, size):
        if size == 1:
            raise memory_error(learner, clips)
        size = halved(size)
    return -int(learner.processes.largest(-size)[0])


def _longest_of(learner: Learner, clips: Clips) -> Clips:
    """One clip (1, S) as long as those of any step, of the sound of these, repeated as needed."""
    times_as_long = longest_clip(learner.config, learner.processes)
    samples = learner.config.mixing.segment_samples * times_as_long
    noisy, target = (side.flatten() for side in clips)
    times = -(-samples // len(noisy))
    return noisy.repeat(times)[None, :samples], target.repeat(times)[None, :samples]


def halved(size: int) -> int:
    """Half of it, rounded up, so that a few clips more than a power of two make no extra piece."""
    return (size + 1) // 2


def memory_error(learner: Learner, clips: Clips) -> OutOfMemory:
    """What the clips need that did not fit, and the options that do, both measured."""
    failed = size = min(learner.micro_batch or len(clips[0]), len(clips[0]))
    while size > 1:
        size = halved(size)
        if _rehearsal_fits(learner, clips, size):
            needed = _needed_bytes(learner, clips, size)
            return OutOfMemory(
                f"out of memory: {failed} clips at once need about "
                f"{_gigabytes(needed * failed / size)} beside the model, and there is less",
                f"--micro-batch {size} fits ({_gigabytes(needed)}, measured) with the same "
                f"gradient, and --auto-batch finds it by itself"
                + (", or --checkpoint-activations" * _fits_recomputed(learner, clips, failed)),
            )
    if _fits_recomputed(learner, clips, 1):
        hint = "--micro-batch 1 --checkpoint-activations fits (measured)"
    else:
        hint = "free memory, or train a smaller model such as --model mbs-net-small"
    return OutOfMemory("out of memory: not even one clip at a time fits", hint)


def _rehearsal_fits(learner: Learner, clips: Clips, size: int) -> bool:
    is_enough = fits(lambda: learner.rehearse(clips[0][:size], clips[1][:size]))
    make_room(learner)
    return is_enough


def _fits_recomputed(learner: Learner, clips: Clips, size: int) -> bool:
    """Whether that many clips at a time would fit with --checkpoint-activations."""
    if learner.config.checkpoint_activations:
        return False
    layers: list[Any] = [
        part for part in learner.model.modules() if hasattr(part, "checkpoint_activations")
    ]
    for layer in layers:
        layer.checkpoint_activations = True
    is_enough = _rehearsal_fits(learner, clips, size)
    for layer in layers:
        layer.checkpoint_activations = False
    return is_enough


def _needed_bytes(learner: Learner, clips: Clips, size: int) -> int:
    """Peak of the allocator on CUDA, elsewhere what is kept for the backward pass."""
    clips = clips[0][:size], clips[1][:size]
    if learner.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(learner.device)
        before = torch.cuda.memory_allocated(learner.device)
        learner.rehearse(*clips)
        return torch.cuda.max_memory_allocated(learner.device) - before
    weights = {tensor.untyped_storage().data_ptr() for tensor in learner.model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        learner.rehearse(*clips, pieces=1)
    return sum(kept.values())


def _gigabytes(count_bytes: float) -> str:
    return f"{count_bytes / 1e9:.2f} GB"
