"""The table of metrics: what each is called, its unit, and which function computes it.

A family is one computation that yields one or more metrics of the same pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mbs_cli.errors import UsageError
from mbs_cli.scoring.channel import Channel
from mbs_cli.scoring.composite import cbak, covl, csig
from mbs_cli.scoring.dnsmos import dnsmos
from mbs_cli.scoring.llr import llr
from mbs_cli.scoring.log_spectral_distance import log_spectral_distance
from mbs_cli.scoring.pesq import pesq_nb, pesq_wb
from mbs_cli.scoring.si_sdr import si_sdr
from mbs_cli.scoring.signals import check_value
from mbs_cli.scoring.snr import segmental_snr, snr
from mbs_cli.scoring.stoi import estoi, stoi
from mbs_cli.scoring.wss import wss


@dataclass(frozen=True)
class Metric:
    """How one metric is named in results (`key`) and shown to people."""

    key: str
    title: str
    unit: str = ""
    decimals: int = 2
    higher_is_better: bool = True

    def show(self, value: float | None) -> str:
        """The value as text, `n/a` where there is none."""
        return "n/a" if value is None else f"{value:.{self.decimals}f}"

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} {self.unit}".rstrip()


@dataclass(frozen=True)
class Family:
    """Metrics that come out of one call of `function(channel)`, in this order."""

    metrics: tuple[Metric, ...]
    function: Callable[[Channel], tuple[float, ...]]
    needs_reference: bool = True

    def compute(self, channel: Channel) -> dict[str, float]:
        """Every metric of the family by its key, all of them finite; raises `NotApplicable`."""
        values = map(check_value, self.function(channel))
        return {metric.key: value for metric, value in zip(self.metrics, values, strict=True)}

    def keys_among(self, chosen: Iterable[str]) -> list[str]:
        """Those of the family's keys that are wanted."""
        wanted = set(chosen)
        return [metric.key for metric in self.metrics if metric.key in wanted]


def _single(metric: Metric, function: Callable[[NDArray[Any], NDArray[Any]], float]) -> Family:
    return Family((metric,), lambda channel: (channel.once(function),))


def _unlimited_llr(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    return llr(reference, estimate, highest=math.inf)


def _composites(channel: Channel) -> tuple[float, float, float]:
    pesq = channel.once(pesq_wb)
    log_likelihood, slopes = channel.once(_unlimited_llr), channel.once(wss)
    return (
        csig(pesq, log_likelihood, slopes),
        cbak(pesq, slopes, channel.once(segmental_snr)),
        covl(pesq, log_likelihood, slopes),
    )


FAMILIES: tuple[Family, ...] = (
    _single(Metric("pesq_wb", "PESQ"), pesq_wb),
    _single(Metric("pesq_nb", "PESQ narrow"), pesq_nb),
    _single(Metric("stoi", "STOI", decimals=3), stoi),
    _single(Metric("estoi", "ESTOI", decimals=3), estoi),
    _single(Metric("si_sdr", "SI-SDR", unit="dB", decimals=1), si_sdr),
    _single(Metric("snr", "SNR", unit="dB", decimals=1), snr),
    _single(Metric("seg_snr", "segSNR", unit="dB", decimals=1), segmental_snr),
    Family((Metric("csig", "CSIG"), Metric("cbak", "CBAK"), Metric("covl", "COVL")), _composites),
    _single(Metric("llr", "LLR", higher_is_better=False), llr),
    _single(Metric("wss", "WSS", decimals=1, higher_is_better=False), wss),
    _single(
        Metric("lsd", "LSD", unit="dB", decimals=1, higher_is_better=False), log_spectral_distance
    ),
    Family(
        (
            Metric("dnsmos_sig", "DNSMOS SIG"),
            Metric("dnsmos_bak", "DNSMOS BAK"),
            Metric("dnsmos_ovrl", "DNSMOS OVRL"),
            Metric("dnsmos_p808", "DNSMOS P.808"),
        ),
        lambda channel: dnsmos(channel.estimate),
        needs_reference=False,
    ),
)
METRICS: dict[str, Metric] = {
    metric.key: metric for family in FAMILIES for metric in family.metrics
}
REFERENCE_METRICS, LONE_METRICS = (
    tuple(
        metric.key
        for family in FAMILIES
        if family.needs_reference is needed
        for metric in family.metrics
    )
    for needed in (True, False)
)
DEFAULT_METRICS: tuple[str, ...] = ("pesq_wb", "stoi", "si_sdr")


def check_metrics(keys: Iterable[str]) -> tuple[str, ...]:
    """The keys as a tuple; raises `UsageError` for one that does not exist."""
    chosen = tuple(dict.fromkeys(keys))
    for key in chosen:
        if key not in METRICS:
            raise UsageError(f"There is no metric {key!r}.", f"Choose from: {', '.join(METRICS)}.")
    return chosen


def families_of(keys: Iterable[str]) -> list[Family]:
    """The families that yield at least one of the metrics."""
    chosen = set(keys)
    return [family for family in FAMILIES if family.keys_among(chosen)]
