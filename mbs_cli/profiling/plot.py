"""Memory of a training step against the batch size, as a picture."""

from __future__ import annotations

from pathlib import Path

from mbs_cli.atomic_file import atomic_file
from mbs_cli.errors import UsageError
from mbs_cli.profiling.results import ModelProfile, Report

# Told apart with every kind of colour vision (Okabe & Ito 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_GREY = "#666666"


def write_plot(report: Report, path: Path) -> None:
    """One line per model, and the budget; the format is PNG. Raises UsageError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for place, model in enumerate(report.models):
        sizes, peaks = _points(model)
        axes.plot(
            sizes,
            [peak / 1e9 for peak in peaks],
            marker="o",
            label=model.name,
            color=_COLOURS[place % len(_COLOURS)],
        )
    budgets = {model.budget.budget_bytes for model in report.models if model.budget}
    for size in budgets:
        axes.axhline(size / 1e9, color=_GREY, linestyle="--", label=f"budget {size / 1e9:g} GB")
    axes.set_xlabel(f"batch size (clips of {report.models[0].training.seconds:g} s)")
    axes.set_ylabel("peak of a training step (GB)")
    axes.set_title(_title(report), fontsize="medium", loc="left", color=_GREY)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    try:
        with atomic_file(path) as partial:
            FigureCanvasAgg(figure).print_figure(partial, format="png", dpi=150)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror})", "choose another place"
        ) from error


def _points(model: ModelProfile) -> tuple[list[int], list[int]]:
    """Batch sizes that fit, rising, and their peaks."""
    steps = (model.training, *model.sweep)
    peaks = {step.batch_size: step.peak_bytes for step in steps if step.peak_bytes is not None}
    sizes = sorted(peaks)
    return sizes, [peaks[size] for size in sizes]


def _title(report: Report) -> str:
    how = ", activations checkpointed" if report.models[0].training.checkpoint_activations else ""
    return f"{report.machine.device_name}, torch {report.machine.versions['torch']}{how}"
