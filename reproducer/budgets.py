"""Fits that were solved under another budget.

Where the learning rate does not depend on the budget, a fit that was solved after some steps runs
exactly so under every budget that allows these steps. A grid extended from 1000 to 5000 steps
therefore computes only what 1000 steps did not solve.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from reproducer.shipped import Shipped
from reproducer.specs import FitSpec, Spec
from reproducer.store import Result, Store, read_facts


def course(spec: dict[str, Any]) -> str | None:
    """Digest of all that a fit's course depends on: its spec, as JSON data, but for the budget.

    None where the budget itself changes the course, or where `spec` is no fit.
    """
    if spec["kind"] != "fit" or spec["recipe"]["decay_to"] != 1:
        return None
    open_ended = spec | {"recipe": {**spec["recipe"], "max_steps": None}}
    return hashlib.sha256(json.dumps(open_ended, sort_keys=True).encode()).hexdigest()


def solved_under_another(
    specs: Iterable[Spec], shipped: Shipped, store: Store
) -> Iterator[Result]:
    """Results of those `specs` whose fit is known, solved, under another budget.

    A result is the known one with the wanted spec and key; its provenance says so in
    ``solved_under``, the key it was computed as.
    """
    wanted = {
        name: spec
        for spec in specs
        if isinstance(spec, FitSpec) and (name := course(spec.model_dump(mode="json")))
    }
    if not wanted:
        return
    for source, known in ((shipped, _in_packs(shipped)), (store, _in_folder(store))):
        for key, name, steps in known:
            spec = wanted.get(name)
            if spec is None or steps > spec.recipe.max_steps:
                continue
            result = source.get(key)
            if result is not None:
                del wanted[name]
                yield _renamed(result, spec)


def _renamed(result: Result, spec: FitSpec) -> Result:
    facts = {"solved_under": result.key} | result.provenance
    return Result(spec.key, spec.model_dump(mode="json"), result.metrics, result.arrays, facts)


Known = tuple[str, str, int]  # key, course, steps of a fit solved before its budget ended


def _known(key: str, spec: dict[str, Any], metrics: dict[str, Any]) -> Known | None:
    name = course(spec)
    # At its last step a fit is measured whether or not it seemed solved: elsewhere it may not be.
    early = name and metrics["solved"] and metrics["steps"] < spec["recipe"]["max_steps"]
    return (key, name, metrics["steps"]) if early else None


@cache
def _in_packs(shipped: Shipped) -> list[Known]:
    return [known for facts in shipped.facts() if (known := _known(*facts))]


def _in_folder(store: Store) -> Iterator[Known]:
    return (known for key in store.keys() if (known := _in_file(store.path(key))))


@cache  # a bisection asks many times, and a result does not change
def _in_file(path: Path) -> Known | None:
    facts = read_facts(path)
    return _known(path.stem, *facts) if facts else None
