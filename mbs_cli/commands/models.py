"""`mbs models`: the weights that come with the package, as a table or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mbs_cli.models.catalogue import ShippedModel, catalogue, choices, default_model

if TYPE_CHECKING:
    from rich.table import Table

_SCORES = {
    "pesq_wb": ("PESQ", 2),
    "stoi": ("STOI", 3),
    "si_sdr": ("SI-SDR dB", 1),
    "cbak": ("CBAK", 2),
    "covl": ("COVL", 2),
    "dnsmos_ovrl": ("DNSMOS", 2),
}


def models(
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON on stdout.")] = False,
) -> None:
    """List the shipped models: size, delay, cost, speed and scores.

    Real-time factor (seconds of work per second of sound) on two CPU threads; scores are means
    over 80 pairs of voices and noises that no training file has. --model takes the names, and
    `fast` and `best` for the ends of the list.
    """
    if as_json:
        _print_json()
    else:
        _print_tables()


def _roles() -> dict[str, list[str]]:
    """By model: what else it is called."""
    roles: dict[str, list[str]] = {name: [] for name in catalogue()}
    for role, name in {
        "default": default_model(),
        "live": default_model(live=True),
        **choices(),
    }.items():
        roles[name].append(role)
    return roles


def _print_json() -> None:
    import json
    from dataclasses import asdict

    roles = _roles()
    entries = [
        {**asdict(model), "latency_ms": model.latency_ms, "roles": roles[model.name]}
        for model in catalogue().values()
    ]
    print(json.dumps({"schema": 1, "models": entries}, indent=1))


def _print_tables() -> None:
    from rich.console import Console

    roles = _roles()
    shipped = catalogue().values()
    console = Console()
    console.print(_table({m.name: {"for": ", ".join(roles[m.name]), **_costs(m)} for m in shipped}))
    console.print(_table({m.name: _scores(m) for m in shipped}))


def _table(rows: dict[str, dict[str, str]]) -> Table:
    """A row per model, a column per figure."""
    from rich.table import Table

    table = Table()
    table.add_column("model", no_wrap=True)
    for head in next(iter(rows.values()), {}):
        table.add_column(head, justify="left" if head == "for" else "right")
    for name, cells in rows.items():
        table.add_row(name, *cells.values())
    return table


def _costs(model: ShippedModel) -> dict[str, str]:
    return {
        "parameters": f"{model.parameters / 1e6:.2f} M",
        "MB": f"{model.file_bytes / 1e6:.1f}",
        "delay": "no stream" if model.latency_ms is None else f"{model.latency_ms} ms",
        "GMAC/s": f"{model.macs_per_second / 1e9:.2f}",
        "RTF": f"{model.real_time_factor:.3f}",
    }


def _scores(model: ShippedModel) -> dict[str, str]:
    return {
        title: f"{model.scores[key]:.{decimals}f}" for key, (title, decimals) in _SCORES.items()
    }
