"""The discriminator of a run: trained on measured PESQ, it tells the model where to go.

PESQ itself has no gradient and takes longer than a step. So a step hands some of its clips to child
processes and goes on; exactly `DELAY_STEPS` steps later the discriminator learns from them. What
is under way is part of the state: a resumed run measures it again and gets the same numbers.

Letters: B batch, I clips of a step that are measured, S samples.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mbs_cli.audio.stft import stft
from mbs_cli.errors import MbsError
from mbs_cli.models.discriminator import Discriminator
from mbs_cli.training.config import TrainConfig
from mbs_cli.training.pesq_labels import Measurement, PesqLabels, wait_for_pesq
from mbs_cli.training.processes import Processes
from mbs_cli.training.spectra import Comparison, Spectra, is_audible

DELAY_STEPS = 8
_LEARNING_RATE = 5e-4
_BETAS = (0.8, 0.99)
_UNLABELLED_IN_A_ROW = 50  # steps without one measurement that end the run


@dataclass
class _Clips:
    """Clips (I, S) of one step and of all processes, on the CPU."""

    step: int
    clean: Tensor
    heard: Tensor
    measurements: list[Measurement] = field(default_factory=list)  # of this process, to come


class MetricDiscriminator:
    """The network, its optimizer, and the clips whose PESQ is being measured.

    In each step call `begin_step`, `term` for every piece of the batch, and after the model's own
    update `learn`. Under torchrun every process measures clips of its own and holds all the others'
    too, and the networks are the same in all of them.
    """

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device,
        processes: Processes | None = None,
        workers: int | None = None,
    ) -> None:
        """Raises UsageError if PESQ cannot be measured; `workers` None: as many as cores allow."""
        self.device, self.processes = device, processes or Processes()
        items = min(config.loss.metric_items, config.batch_size)
        self.own_items = max(1, items // self.processes.count)  # the same in every process
        self.labels = PesqLabels(workers)
        self.framing = config.network.framing
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = Discriminator()
        self.network = network.to(device).eval().requires_grad_(requires_grad=False)
        self.optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, _BETAS)
        self.learnt = 0  # updates of the network
        self.seconds_waited = 0.0  # for measurements
        self._fresh: list[tuple[Tensor, Tensor]] = []  # clean and heard clips of this step
        self._under_way: deque[_Clips] = deque()
        self._unlabelled_in_a_row = 0

    def begin_step(self) -> None:
        """Forget the clips of a step that failed half-way: it is done again, or was the last.

        After a resume it begins to measure what was under way. To do so earlier would start
        children while the workers that mix clips are forked: a worker would inherit the pipe that
        tells of a child's start, and whoever waits for that would wait for ever.
        """
        self._fresh.clear()
        for clips in self._under_way:
            if not clips.measurements:
                self._measure(clips)

    def term(self, comparison: Comparison) -> Tensor:
        """The `distance` of a piece of the batch, whose clips are noted; 0 before it has learnt."""
        wanted, heard = comparison.wanted_samples, comparison.heard_samples
        missing = self.own_items - sum(len(clips) for clips, _ in self._fresh)
        self._fresh.append((wanted[:missing].detach(), heard[:missing].detach()))
        return self.distance(comparison) if self.learnt else heard.new_zeros(())

    def distance(self, comparison: Comparison) -> Tensor:
        """Mean squared distance from 1 of the scores of what is heard.

        Items whose target is silence have no PESQ and do not count.
        """
        audible = is_audible(comparison.wanted_samples)
        scores = self.network(comparison.wanted.magnitude, comparison.heard.magnitude)
        errors = torch.where(audible, (1 - scores).square(), 0.0)
        return errors.sum() / audible.sum().clamp_min(1)

    def learn(self, step: int) -> None:
        """Hand the clips of this step over, and learn from those of `DELAY_STEPS` steps before.

        Raises MbsError if for many steps not one clip could be measured.
        """
        if self._fresh:
            own = (torch.cat(clips).cpu() for clips in zip(*self._fresh, strict=True))
            self._fresh.clear()
            self._hand_over(step, *map(self.processes.rows_of_all, own))
        while self._under_way and self._under_way[0].step <= step - DELAY_STEPS:
            self._learn_from(self._under_way.popleft())

    def close(self) -> None:
        """End the child processes."""
        self.labels.close()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, by name; the same in every process."""
        tensors = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value
        tensors["learnt"] = torch.tensor(self.learnt)
        for clips in self._under_way:
            tensors[f"clean/{clips.step}"] = clips.clean
            tensors[f"heard/{clips.step}"] = clips.heard
        return tensors

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a saved state; what was under way is measured again from the next step on.

        Raises KeyError, ValueError or RuntimeError if something is missing or of another shape.
        """
        self.network.load_state_dict(tensors_below("network/", tensors))
        self.learnt = int(tensors["learnt"])
        for name, parameter in self.network.named_parameters() if self.learnt else ():
            moments = {key: tensors[f"optimizer/{key}/{name}"] for key in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[parameter] = {
                "step": tensors[f"optimizer/step/{name}"].clone(),
                **{key: value.to(self.device, copy=True) for key, value in moments.items()},
            }
        self._under_way.clear()
        for step in sorted(map(int, tensors_below("clean/", tensors))):
            clean, heard = tensors[f"clean/{step}"], tensors[f"heard/{step}"]
            self._under_way.append(_Clips(step, clean, heard))

    def _hand_over(self, step: int, clean: Tensor, heard: Tensor) -> None:
        """Begin to measure; a clip that is not finite becomes silence, which has no PESQ."""
        is_finite = torch.isfinite(heard.square().sum(1, keepdim=True))
        self._under_way.append(_Clips(step, clean, torch.where(is_finite, heard, 0.0)))
        self._measure(self._under_way[-1])

    def _measure(self, clips: _Clips) -> None:
        own = self.processes.own_rows
        clips.measurements = self.labels.submit(own(clips.clean), own(clips.heard))

    def _learn_from(self, clips: _Clips) -> None:
        """One update towards the PESQ of the clips, scaled to (PESQ - 1) / 3.5, and 1 for clean."""
        goals, counts = (values.to(self.device) for values in self._wait_for_goals(clips))
        clean, heard = (
            Spectra(stft(self.processes.own_rows(samples).to(self.device), self.framing)).magnitude
            for samples in (clips.clean, clips.heard)
        )
        self.network.train().requires_grad_()
        scores = self.network(torch.cat((clean, clean)), torch.cat((clean, heard)))
        clean_scores, heard_scores = scores.chunk(2)
        errors = (heard_scores - goals).square() + (clean_scores - 1).square()
        gradients = torch.autograd.grad((counts * errors).sum(), list(self.network.parameters()))
        self.network.eval().requires_grad_(requires_grad=False)
        self._update(gradients, counts.sum())

    def _wait_for_goals(self, clips: _Clips) -> tuple[Tensor, Tensor]:
        """What each clip should score, and 1 where that is known, both (I,)."""
        started = time.monotonic()
        measured, reason = wait_for_pesq(clips.measurements)
        self.seconds_waited += time.monotonic() - started
        known = [value is not None for value in measured]
        self._unlabelled_in_a_row = 0 if any(known) else self._unlabelled_in_a_row + 1
        if self._unlabelled_in_a_row >= _UNLABELLED_IN_A_ROW:
            raise MbsError(
                f"step {clips.step}: no clip of {_UNLABELLED_IN_A_ROW} steps in a row has a PESQ, "
                f"so the discriminator cannot learn; the last reason is: {reason}",
                "train without it: --metric-weight 0",
            )
        goals = [1.0 if value is None else (value - 1) / 3.5 for value in measured]
        return torch.tensor(goals), torch.tensor(known, dtype=torch.float32)

    def _update(self, gradients: tuple[Tensor, ...], count: Tensor) -> None:
        """Step along the mean gradient over the clips of all processes, if there are any."""
        flat = torch.cat([*(gradient.flatten() for gradient in gradients), count[None]])
        flat = self.processes.total(flat)
        if not bool((flat[-1] > 0) & torch.isfinite(flat).all()):
            return
        mean = (flat[:-1] / flat[-1]).split([gradient.numel() for gradient in gradients])
        for parameter, gradient in zip(self.network.parameters(), mean, strict=True):
            parameter.grad = gradient.view_as(parameter)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.learnt += 1


def tensors_below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose name begins so, by the rest of their name."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
