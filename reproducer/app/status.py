"""Which specs of which experiment the store holds."""

from __future__ import annotations

from typing import Any

from reproducer.experiments import EXPERIMENTS, experiment
from reproducer.experiments.profiles import load_params
from reproducer.results.packs import shipped
from reproducer.results.store import Store


def experiment_status(profile: str, store: Store | None = None) -> list[dict[str, Any]]:
    """For each experiment: `experiment`, `profile`, `specs`, `stored`, `missing` (keys)."""
    store = store or Store()
    rows = []
    for name in EXPERIMENTS:
        keys = {spec.key for spec in experiment(name).specs(load_params(name, profile))}
        missing = sorted(key for key in keys if key not in store and key not in shipped())
        rows.append(
            {
                "experiment": name,
                "profile": profile,
                "specs": len(keys),
                "stored": len(keys) - len(missing),
                "missing": missing,
            }
        )
    return rows
