"""A larger budget continues a smaller one.

Where the learning rate does not depend on the budget, a fit under a larger one begins with the
very steps of the smaller. So what was solved under the smaller is taken over, and what was not goes
on from where it stood. Starting it again instead would give it a second chance: a fit hangs on
rounding, and rounding on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from reproducer.results.packs import Shipped
from reproducer.results.specs import FitSpec, Spec, digest
from reproducer.results.store import Result, Store, read_facts
from reproducer.solver.problem import Problem, Progress
from reproducer.solver.recipes import CHECK_EVERY
from reproducer.solver.slots import END, TRACES


class Known(NamedTuple):
    """A stored fit that a larger budget can continue."""

    key: str
    course: str
    budget: int


def can_go_on(spec: dict[str, Any]) -> bool:
    """Whether `spec`, as JSON data, is a fit whose steps a larger budget would only add to."""
    if spec["kind"] != "fit" or spec["recipe"]["decay_to"] != 1:
        return False
    # Checks and restarts fall on these steps; a fit that stopped between them would miss them.
    return spec["recipe"]["max_steps"] % CHECK_EVERY == 0


def course(spec: dict[str, Any]) -> str | None:
    """Digest of a fit's spec but for the budget, which its steps do not hang on; else None."""
    if not can_go_on(spec):
        return None
    return digest(spec | {"recipe": {**spec["recipe"], "max_steps": None}})


def under_smaller_budgets(
    specs: Iterable[Spec], shipped: Shipped, store: Store
) -> dict[str, Result]:
    """By the key of those `specs` that have one: the result of the largest smaller budget."""
    fits = [spec for spec in specs if isinstance(spec, FitSpec)]
    if not fits:
        return {}
    found: dict[str, list[tuple[int, str, Shipped | Store]]] = {}
    for source, known in ((shipped, _in_packs(shipped)), (store, _in_folder(store))):
        for key, name, budget in known:
            found.setdefault(name, []).append((budget, key, source))
    earlier = {}
    for spec in fits:
        same = found.get(course(spec.model_dump(mode="json")), [])
        smaller = [entry for entry in same if entry[0] < spec.recipe.max_steps]
        if smaller:
            _, key, source = max(smaller, key=lambda entry: entry[:2])
            if (result := source.get(key)) is not None:
                earlier[spec.key] = result
    return earlier


def taken_over(spec: FitSpec, earlier: Result) -> Result:
    """A fit that was solved under a smaller budget, as the result of `spec`."""
    facts = {"continues": earlier.key} | earlier.provenance
    return Result(spec.key, spec.model_dump(mode="json"), earlier.metrics, earlier.arrays, facts)


def continued(problem: Problem, earlier: Result | None) -> Problem:
    """The problem from where a fit under a smaller budget stood."""
    if earlier is None:
        return problem
    arrays = earlier.arrays
    traces = [arrays[f"trace_{name}"] for name in TRACES if f"trace_{name}" in arrays]
    begun = Progress(
        steps=earlier.metrics["steps"],
        seconds=earlier.metrics["seconds"],
        best_rows=arrays["rows"],
        trace=torch.stack(traces) if traces else None,
        **{name: arrays[f"end_{name}"] for name in END},
    )
    return replace(problem, begun=begun)


def _known(key: str, spec: dict[str, Any], metrics: dict[str, Any]) -> Known | None:
    # Fits that were stored before they could go on have no such mark: to take over the solved
    # ones alone would favour them.
    name = course(spec) if metrics.get("goes_on") else None
    return Known(key, name, spec["recipe"]["max_steps"]) if name else None


@cache
def _in_packs(shipped: Shipped) -> list[Known]:
    return [known for facts in shipped.facts() if (known := _known(*facts))]


def _in_folder(store: Store) -> list[Known]:
    return [known for key in store.keys() if (known := _in_file(store.path(key)))]


@cache  # a bisection asks many times, and a result does not change
def _in_file(path: Path) -> Known | None:
    facts = read_facts(path)
    return _known(path.stem, *facts) if facts else None
