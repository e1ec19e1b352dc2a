"""What `mbs profile` shows: progress on stderr, tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mbs_cli.profiling.bench import OnStart
from mbs_cli.profiling.byte_size import show_bytes
from mbs_cli.profiling.results import (
    Budget,
    Component,
    LargestBatch,
    ModelProfile,
    Report,
    Training,
)

_NO_FIT = "no fit"
_NONE = "-"
_LONGEST_NAME = 21  # for tables of 80 columns


@contextmanager
def open_display() -> Iterator[OnStart]:
    """A listener that says on stderr what is being measured."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what: print(what, file=sys.stderr, flush=True)
        return
    with console.status("starting") as status:
        yield lambda what: status.update(Text(what))


def print_tables(report: Report) -> None:
    """Everything that was measured, on stdout."""
    console = Console()
    machine = report.machine
    console.print(
        Text(
            f"{machine.device_name}, {machine.device}, {show_bytes(machine.memory_bytes)}, "
            f"{machine.threads} threads, torch {machine.versions['torch']}, "
            f"scan: {machine.scan_implementation}, training in {machine.training_precision}"
        )
    )
    for table in _tables(report):
        console.print()
        console.print(table)


def _tables(report: Report) -> Iterator[Table]:
    yield _models_table(report)
    yield from map(_components_table, report.models)
    yield _memory_table(report)
    if any(model.training.scan for model in report.models):
        yield _scan_table(report)
    yield _speed_table(report)
    yield from (_sweep_table(model) for model in report.models if model.sweep)
    if any(model.budget for model in report.models):
        yield _budget_table(report)


def _table(title: str, first: str, *columns: str, caption: str = "") -> Table:
    """A table of a name and figures that fits 80 columns."""
    table = Table(
        title=Text(title),
        title_justify="left",
        caption=Text(caption) if caption else None,
        caption_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _models_table(report: Report) -> Table:
    table = _table(
        "Models", "model", "parameters", "on disk", "multiply-adds\nper s of audio", "causal"
    )
    for model in report.models:
        table.add_row(
            _short(model.name),
            f"{model.parameters:,}",
            show_bytes(model.checkpoint_bytes),
            _giga(model.macs_per_second),
            "yes" if model.is_causal else "no",
        )
    return table


def _components_table(model: ModelProfile) -> Table:
    table = _table(
        f"{_short(model.name)} by component", "component", "parameters", "%", "multiply-adds/s", "%"
    )
    for depth, name, parts in _rows(model.components):
        parameters = sum(part.parameters for part in parts)
        macs = sum(part.macs_per_second for part in parts)
        count = f" ({len(parts)}x)" if len(parts) > 1 else ""
        table.add_row(
            "  " * depth + name + count,
            f"{parameters:,}",
            _percent(parameters, model.parameters),
            _giga(macs),
            _percent(macs, model.macs_per_second),
        )
    table.add_row(
        "all", f"{model.parameters:,}", "100", _giga(model.macs_per_second), "100", style="bold"
    )
    return table


def _rows(tree: Component) -> Iterator[tuple[int, str, list[Component]]]:
    """Depth, name and parts of each row; the equal layers of a list are one row."""
    for top in tree.children:
        yield 0, top.name, [top]
        is_list = bool(top.children) and top.children[0].name == "0"
        inner = _by_name(top.children) if is_list else [(c.name, [c]) for c in top.children]
        for name, parts in inner:
            yield 1, name, parts


def _by_name(layers: tuple[Component, ...]) -> list[tuple[str, list[Component]]]:
    """What the layers of a list are made of, summed over the layers."""
    found: dict[str, list[Component]] = {}
    for layer in layers:
        for part in layer.children:
            found.setdefault(part.name, []).append(part)
    return list(found.items())


def _memory_table(report: Report) -> Table:
    training = report.models[0].training
    how = ", activations checkpointed" if training.checkpoint_activations else ""
    table = _table(
        f"Memory of one training step, {training.batch_size} x {training.seconds:g} s{how} (MB)",
        *("model", "peak", "weights", "gradi-\nents", "opti-\nmizer", "kept for\nbackward"),
        *("tempo-\nraries", "heap\ngaps"),
        caption=f"peak: measured beyond the bare process; parts: counted{_agreement(report)}"
        f"{_note_on_misfits(report)}",
    )
    for model in report.models:
        table.add_row(_short(model.name), *_memory_cells(model.training))
    return table


def _memory_cells(step: Training) -> list[str]:
    if not step.fits:
        return [_NO_FIT]
    assert step.parts is not None
    assert step.peak_bytes is not None
    parts = step.parts
    held = (parts.weights, parts.gradients, parts.optimizer, parts.kept_for_backward)
    others = (parts.temporaries, parts.heap_gaps)
    return [_mega(size) for size in (step.peak_bytes, *held, *others)]


def _agreement(report: Report) -> str:
    """How far the sums of the parts are from the peaks, at most."""
    steps = [model.training for model in report.models]
    shares = [s.counted_bytes / s.peak_bytes - 1 for s in steps if s.counted_bytes and s.peak_bytes]
    furthest = max(shares, key=abs, default=None)
    return "" if furthest is None else f", their sum within {abs(furthest):.0%}"


def _note_on_misfits(report: Report) -> str:
    if all(model.training.fits for model in report.models):
        return ""
    return f"\n{_NO_FIT}: the step does not fit into the memory there is"


def _scan_table(report: Report) -> Table:
    table = _table(
        "Kept for the backward pass with a naive scan (MB)",
        *("model", "scan\nkeeps", "naive,\ncomputed", "naive,\nmeasured", "times\nless"),
        *("model\nkeeps", "with\nnaive scan"),
        caption="beyond the inputs of the scan; naive: a loop under autograd",
    )
    for model in report.models:
        step, scan = model.training, model.training.scan
        if scan is None or step.kept_for_backward_bytes is None:
            continue
        table.add_row(
            _short(model.name),
            _mega(scan.kept_bytes),
            _mega(scan.naive_bytes),
            _NO_FIT if scan.naive_measured_bytes is None else _mega(scan.naive_measured_bytes),
            f"{scan.naive_bytes / scan.kept_bytes:.0f}",
            _mega(step.kept_for_backward_bytes),
            _mega(step.naive_kept_for_backward_bytes),
        )
    return table


def _speed_table(report: Report) -> Table:
    table = _table(
        "Speed",
        *("model", "first\nstep s", "step s", "clips\nper s", "enhance:\nfirst RTF", "RTF"),
        "peak MB",
        caption=f"RTF: seconds of work per second of audio, one channel, "
        f"{report.models[0].inference.seconds:g} s of it",
    )
    for model in report.models:
        step, inference = model.training, model.inference
        table.add_row(
            _short(model.name),
            _number(step.first_step_seconds, 2),
            _number(step.step_seconds, 2),
            _number(step.clips_per_second, 2),
            _number(inference.first_real_time_factor, 3),
            _number(inference.real_time_factor, 3),
            _mega(inference.peak_bytes) if inference.fits else _NO_FIT,
        )
    return table


def _sweep_table(model: ModelProfile) -> Table:
    table = _table(
        f"{_short(model.name)} by batch size",
        "batch",
        "peak MB",
        "kept MB",
        "step s",
        "clips per s",
    )
    for step in model.sweep:
        table.add_row(
            str(step.batch_size),
            _mega(step.peak_bytes) if step.fits else _NO_FIT,
            _mega(step.kept_for_backward_bytes),
            _number(step.step_seconds, 2),
            _number(step.clips_per_second, 2),
        )
    return table


def _budget_table(report: Report) -> Table:
    budgets = {model.name: model.budget for model in report.models if model.budget}
    size = show_bytes(min(budget.limit_bytes for budget in budgets.values()))
    table = _table(
        f"Largest batch within {size}",
        *("model", "batch", "MB", "MB of\none more", "batch with\ncheckpointing", "MB"),
        caption="checkpointing: --checkpoint-activations\nbatches of any size train in the "
        "memory of their micro-batches:\nmbs train --micro-batch",
    )
    for name, budget in budgets.items():
        table.add_row(_short(name), *_budget_cells(budget))
    return table


def _budget_cells(budget: Budget) -> list[str]:
    plain, checkpointed = budget.plain, budget.checkpointed
    more = _NO_FIT if plain.next_peak_bytes is None else _mega(plain.next_peak_bytes)
    return [*_fitting(plain), more, *_fitting(checkpointed)]


def _fitting(found: LargestBatch) -> list[str]:
    return [str(found.batch_size) if found.batch_size else "none", _mega(found.peak_bytes)]


def _short(name: str) -> str:
    """The end of a long path."""
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"


def _mega(size: int | None) -> str:
    if size is None:
        return _NONE
    return f"{size / 1e6:.1f}" if 0 < size < 10e6 else f"{size / 1e6:,.0f}"


def _giga(macs: int) -> str:
    return f"{macs / 1e9:.3f} G" if macs else _NONE


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}"


def _number(value: float | None, decimals: int) -> str:
    return _NONE if value is None else f"{value:.{decimals}f}"
