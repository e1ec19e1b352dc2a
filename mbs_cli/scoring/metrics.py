"""The table of metrics: what each is called, its unit, and which function computes it.

A family is one computation that yields one or more metrics of the same pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mbs_cli.errors import UsageError
from mbs_cli.scoring.dnsmos import dnsmos
from mbs_cli.scoring.pesq import pesq_wb
from mbs_cli.scoring.si_sdr import si_sdr
from mbs_cli.scoring.stoi import estoi, stoi


@dataclass(frozen=True)
class Metric:
    """How one metric is named in results (`key`) and shown to people."""

    key: str
    title: str
    unit: str = ""
    decimals: int = 2

    def show(self, value: float | None) -> str:
        """The value as text, `n/a` where there is none."""
        return "n/a" if value is None else f"{value:.{self.decimals}f}"


@dataclass(frozen=True)
class Family:
    """Metrics that come out of one call of `function(reference, estimate)`, in this order."""

    metrics: tuple[Metric, ...]
    function: Callable[[NDArray[Any], NDArray[Any]], tuple[float, ...]]

    def compute(self, reference: NDArray[Any], estimate: NDArray[Any]) -> dict[str, float]:
        """Every metric of the family by its key; raises `NotApplicable`."""
        values = self.function(reference, estimate)
        return {metric.key: value for metric, value in zip(self.metrics, values, strict=True)}

    def keys_among(self, chosen: Iterable[str]) -> list[str]:
        """Those of the family's keys that are wanted."""
        wanted = set(chosen)
        return [metric.key for metric in self.metrics if metric.key in wanted]


def _single(metric: Metric, function: Callable[[NDArray[Any], NDArray[Any]], float]) -> Family:
    return Family((metric,), lambda reference, estimate: (function(reference, estimate),))


FAMILIES: tuple[Family, ...] = (
    _single(Metric("pesq_wb", "PESQ"), pesq_wb),
    _single(Metric("stoi", "STOI", decimals=3), stoi),
    _single(Metric("estoi", "ESTOI", decimals=3), estoi),
    _single(Metric("si_sdr", "SI-SDR", unit="dB", decimals=1), si_sdr),
    Family(
        (
            Metric("dnsmos_sig", "DNSMOS SIG"),
            Metric("dnsmos_bak", "DNSMOS BAK"),
            Metric("dnsmos_ovrl", "DNSMOS OVRL"),
        ),
        lambda _, estimate: dnsmos(estimate),
    ),
)
METRICS: dict[str, Metric] = {
    metric.key: metric for family in FAMILIES for metric in family.metrics
}
DEFAULT_METRICS: tuple[str, ...] = ("pesq_wb", "stoi", "si_sdr")


def check_metrics(keys: Iterable[str]) -> tuple[str, ...]:
    """The keys as a tuple; raises `UsageError` for one that does not exist."""
    chosen = tuple(keys)
    for key in chosen:
        if key not in METRICS:
            raise UsageError(f"There is no metric {key!r}.", f"Choose from: {', '.join(METRICS)}.")
    return chosen


def families_of(keys: Iterable[str]) -> list[Family]:
    """The families that yield at least one of the metrics."""
    chosen = set(keys)
    return [family for family in FAMILIES if family.keys_among(chosen)]
