"""The list of shipped models is about the very files that are shipped."""

from __future__ import annotations

import json

from mbs_cli.models.catalogue import catalogue, choices, default_model
from mbs_cli.models.checkpoint import file_sha256, load_checkpoint
from mbs_cli.models.shipped import resolve_model, shipped_models


def test_every_shipped_file_is_listed_and_was_measured_as_it_is() -> None:
    assert list(catalogue()) == shipped_models()
    for name, model in catalogue().items():
        path = resolve_model(name)
        assert file_sha256(path) == model.weights_sha256, "run benchmarks/shipped.py again"
        assert path.stat().st_size == model.file_bytes
        network, _ = load_checkpoint(path)
        assert sum(parameter.numel() for parameter in network.parameters()) == model.parameters


def test_names_for_the_ends_stand_for_shipped_models() -> None:
    models = catalogue()
    fast, best = (models[choices()[role]] for role in ("fast", "best"))
    assert all(fast.real_time_factor <= model.real_time_factor for model in models.values())
    assert all(best.scores["covl"] >= model.scores["covl"] for model in models.values())
    assert models[default_model()].real_time_factor < 0.2
    assert models[default_model(live=True)].latency_ms == 32
    assert resolve_model("best") == resolve_model(best.name)


def test_the_command_shows_all_of_them(run_mbs) -> None:  # type: ignore[no-untyped-def]
    shown = run_mbs("models")
    assert shown.returncode == 0
    document = json.loads(run_mbs("models", "--json").stdout)
    assert [entry["name"] for entry in document["models"]] == shipped_models()
    for entry in document["models"]:
        assert entry["name"] in shown.stdout
    assert "default" in {role for entry in document["models"] for role in entry["roles"]}
