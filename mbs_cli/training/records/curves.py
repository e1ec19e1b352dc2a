"""The learning curves of a run as one picture: validation first, then loss and its parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mbs_cli.atomic_file import atomic_file
from mbs_cli.scoring.metrics import METRICS
from mbs_cli.training.records.metrics_file import LOSS_PART, NOISY, VALIDATION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
_PANEL_INCHES = (4.0, 2.7)
_TITLE_INCHES = 0.3
_DOTS_PER_INCH = 110
_SMOOTHING = 0.9  # share of the past in the bold line of a noisy curve
_INK, _LINE, _NOISY, _BEST = "#333333", "#1f5fa8", "#8a8a8a", "#c2410c"

Series = Sequence[tuple[int, float]]  # step and value


@dataclass(frozen=True)
class _Panel:
    """One figure over steps."""

    title: str
    series: Series
    baseline: float | None = None
    higher_is_better: bool = True
    is_score: bool = False
    is_smooth: bool = False  # by itself


def draw_curves(series: dict[str, list[tuple[int, float]]], path: Path, title: str) -> None:
    """Write the picture (PNG), complete or not at all; `series` is what `read_series` gives.

    Raises OSError.
    """
    from matplotlib.figure import Figure  # draws without any display

    panels = _panels(series)
    rows = max(1, math.ceil(len(panels) / _COLUMNS))
    figure = Figure(dpi=_DOTS_PER_INCH)
    figure.suptitle(title, y=0.995, color=_INK, fontsize=12, fontweight="bold")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    _arrange(figure, rows)
    last_step = max((step for panel in panels for step, _ in panel.series), default=1)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel, last_step)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    with atomic_file(path) as partial:
        figure.savefig(partial, format="png")


def _arrange(figure: Figure, rows: int) -> None:
    """Fixed margins: the layout engines of matplotlib take longer than the drawing."""
    width, height = _COLUMNS * _PANEL_INCHES[0], rows * _PANEL_INCHES[1] + _TITLE_INCHES
    figure.set_size_inches(width, height)
    figure.subplots_adjust(
        left=0.6 / width,
        right=1 - 0.15 / width,
        bottom=0.45 / height,
        top=1 - (0.35 + _TITLE_INCHES) / height,
        wspace=0.2,
        hspace=0.35,
    )


def _panels(series: dict[str, list[tuple[int, float]]]) -> list[_Panel]:
    finite = {
        name: [(step, value) for step, value in points if math.isfinite(value)]
        for name, points in series.items()
    }
    panels = [
        _score_panel(name.removeprefix(VALIDATION), finite)
        for name in finite
        if name.startswith(VALIDATION)
    ]
    parts = [name for name in finite if name.startswith(LOSS_PART)]
    for name in ("loss", *parts, "gradient_norm", "learning_rate"):
        label = name.removeprefix(LOSS_PART).replace("_", " ")
        title = f"loss: {label}" if name in parts else label
        is_smooth = name == "learning_rate"
        panels.append(_Panel(title, finite.get(name, []), is_smooth=is_smooth))
    return [panel for panel in panels if panel.series]


def _score_panel(metric: str, series: dict[str, list[tuple[int, float]]]) -> _Panel:
    known = METRICS.get(metric)
    baseline = series.get(NOISY + metric)
    return _Panel(
        f"validation: {known.heading if known else metric}",
        series[VALIDATION + metric],
        baseline[-1][1] if baseline else None,
        known.higher_is_better if known else True,
        is_score=True,
    )


def _draw(axes: Axes, panel: _Panel, last_step: int) -> None:
    _style(axes, panel.title, last_step)
    if panel.is_score:
        _draw_score(axes, panel)
    else:
        _draw_mean(axes, panel)


def _style(axes: Axes, title: str, last_step: int) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set_title(title, color=_INK, fontsize=10, loc="left")
    axes.set_xlim(0, max(last_step, 1) * 1.02)
    axes.set_xlabel("step", fontsize=8, color=_INK, loc="right", labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=_INK, length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _draw_score(axes: Axes, panel: _Panel) -> None:
    steps, values = zip(*panel.series, strict=True)
    axes.plot(steps, values, color=_LINE, linewidth=1.6, marker="o", markersize=3)
    pick = max if panel.higher_is_better else min
    step, best = pick(panel.series, key=lambda point: point[1])
    axes.plot([step], [best], "o", color=_BEST, markersize=6, label=f"best {best:.3g}")
    if panel.baseline is not None:
        label = f"noisy {panel.baseline:.3g}"
        axes.axhline(panel.baseline, color=_NOISY, linewidth=1.2, linestyle="--", label=label)
    _legend(axes)


def _draw_mean(axes: Axes, panel: _Panel) -> None:
    steps, values = zip(*panel.series, strict=True)
    smooth = values if panel.is_smooth else _smoothed(values)
    if not panel.is_smooth:
        axes.plot(steps, values, color=_LINE, linewidth=0.8, alpha=0.35)
        axes.set_ylim(*_range_of_most(values))
    marker = "o" if len(steps) == 1 else ""  # a single point makes no line
    label = f"now {smooth[-1]:.3g}"
    axes.plot(steps, smooth, color=_LINE, linewidth=1.6, marker=marker, label=label)
    _legend(axes)


def _legend(axes: Axes) -> None:
    axes.legend(fontsize=8, frameon=False, labelcolor=_INK, loc="best", handlelength=1.2)


def _range_of_most(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that leaves out the highest and the lowest per cent: spikes hide the rest."""
    ordered = sorted(values)
    spare = len(ordered) // 100
    low, high = ordered[spare], ordered[-1 - spare]
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin


def _smoothed(values: Sequence[float]) -> Sequence[float]:
    """The exponential moving average, unbiased at its start."""
    smooth, total, weight = [], 0.0, 0.0
    for value in values:
        total = _SMOOTHING * total + (1 - _SMOOTHING) * value
        weight = _SMOOTHING * weight + (1 - _SMOOTHING)
        smooth.append(total / weight)
    return smooth
