"""Profiling models: what they weigh, compute and need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mbs_cli.device import resolve_device
from mbs_cli.errors import UsageError
from mbs_cli.models.registry import build_model
from mbs_cli.models.scan import kernels_need_compiling
from mbs_cli.profiling.bench import Bench, OnStart
from mbs_cli.profiling.byte_size import show_bytes
from mbs_cli.profiling.components import checkpoint_bytes, component_tree
from mbs_cli.profiling.machine import describe_machine
from mbs_cli.profiling.options import ProfileOptions
from mbs_cli.profiling.results import Budget, ModelProfile, Report
from mbs_cli.profiling.subject import find_subjects


def profile_models(
    names: Sequence[str] = (),
    options: ProfileOptions | None = None,
    on_start: OnStart = lambda _: None,
) -> Report:
    """Measure presets, by name, and checkpoints, by path; all presets if nothing is named.

    Memory and time are measured in fresh processes; what does not fit into memory is a result.
    Raises UsageError for a model that does not exist, a checkpoint that is not one of ours and a
    budget that no model fits into, DeviceError for a device that is not there.
    """
    options = options or ProfileOptions()
    device = resolve_device(options.device)
    benches = [Bench(subject, options, device, on_start) for subject in find_subjects(names)]
    if device.type == "cpu" and kernels_need_compiling():
        on_start("the first measurement compiles the kernels, about 20 s")
    models = tuple(_profile(bench) for bench in benches)
    _check_budgets(models)
    return Report(
        machine=describe_machine(device, options.threads),
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        models=models,
    )


def _profile(bench: Bench) -> ModelProfile:
    subject, options = bench.subject, bench.options
    model = build_model(subject.config)
    tree = component_tree(model)
    training = bench.training(options.batch_size)
    sweep = tuple(
        training if size == options.batch_size else bench.training(size) for size in options.sweep
    )
    budget = None
    if options.budget_bytes is not None:
        budget = bench.budget(options.budget_bytes, [training, *sweep])
    return ModelProfile(
        name=subject.name,
        parameters=tree.parameters,
        checkpoint_bytes=(
            checkpoint_bytes(model, subject.preset)
            if subject.path is None
            else subject.path.stat().st_size
        ),
        is_causal=subject.config.is_causal,
        macs_per_second=tree.macs_per_second,
        components=tree,
        training=training,
        inference=bench.inference(),
        sweep=sweep,
        budget=budget,
    )


def _check_budgets(models: Sequence[ModelProfile]) -> None:
    """Raise UsageError, with what one clip needs, if none of the models fits its budget."""
    budgets = [model.budget for model in models if model.budget is not None]
    if not budgets or any(budget.plain.batch_size for budget in budgets):
        return
    hint = "give a larger --budget or shorter clips with --seconds"
    if any(budget.checkpointed.batch_size for budget in budgets):
        hint = f"it fits with --checkpoint-activations; or {hint}"
    needs = " and ".join(f"{model.name} needs {_need_of_one(model.budget)}" for model in models)
    raise UsageError(
        f"--budget {show_bytes(budgets[0].limit_bytes)}: for one clip of "
        f"{models[0].training.seconds:g} s {needs}",
        hint,
    )


def _need_of_one(budget: Budget | None) -> str:
    needed = budget and budget.plain.next_peak_bytes
    return show_bytes(needed) if needed else "more than there is"
