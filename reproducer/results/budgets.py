"""A larger budget continues a smaller one.

Where the learning rate does not depend on the budget, a fit under a larger one begins with the
very steps of the smaller. So what was solved under the smaller is taken over, and what was not goes
on from where it stood. Starting it again instead would give it a second chance: a fit hangs on
rounding, and rounding on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from reproducer.results.specs import Result, Spec, digest
from reproducer.solver.recipes import CHECK_EVERY

if TYPE_CHECKING:
    from reproducer.solver.problem import Problem


class Source(Protocol):
    """A store or packs, as far as budgets need them."""

    def smaller_budget(self, name: str, budget: int) -> str | None: ...

    def get(self, key: str, arrays: bool = True) -> Result | None: ...


def can_go_on(spec: dict[str, Any]) -> bool:
    """Whether `spec`, as JSON data, is a fit whose steps a larger budget would only add to."""
    if spec["kind"] != "fit" or spec["recipe"]["decay_to"] != 1:
        return False
    # Checks and restarts fall on these steps; a fit that stopped between them would miss them.
    return spec["recipe"]["max_steps"] % CHECK_EVERY == 0


def course(result: Result) -> str | None:
    """Digest of a fit's spec but for the budget, which its steps do not hang on; else None.

    Fits that were stored before they could go on have no mark of it: to take over the solved ones
    alone would favour them.
    """
    return _course(result.spec) if result.metrics.get("goes_on") else None


def budget_of(result: Result) -> int | None:
    """The most steps that a fit was allowed, or None for another kind of result."""
    return result.spec.get("recipe", {}).get("max_steps")


def _course(spec: dict[str, Any]) -> str | None:
    if not can_go_on(spec):
        return None
    return digest(spec | {"recipe": {**spec["recipe"], "max_steps": None}})


def under_smaller_budgets(
    specs: Iterable[Spec], sources: Iterable[Source], arrays: bool = True
) -> dict[str, Result]:
    """By the key of those `specs` that have one: the result of the largest smaller budget."""
    earlier = {}
    for spec in specs:
        if (name := _course(spec.model_dump(mode="json"))) is None:
            continue
        budget = spec.recipe.max_steps
        keys = [(source, source.smaller_budget(name, budget)) for source in sources]
        results = [
            r
            for source, key in keys
            # What the source says of the course is an index, which no digest covers.
            if key and (r := source.get(key, arrays)) is not None
            and course(r) == name and budget_of(r) < budget
        ]
        if results:
            earlier[spec.key] = max(results, key=lambda result: (budget_of(result), result.key))
    return earlier


def taken_over(spec: Spec, earlier: Result) -> Result:
    """A fit that was solved under a smaller budget, as the result of `spec`."""
    facts = {"continues": earlier.key} | earlier.provenance
    return Result(spec.key, spec.model_dump(mode="json"), earlier.metrics, earlier.arrays, facts)


def continued(problem: Problem, earlier: Result | None) -> Problem:
    """The problem from where a fit under a smaller budget stood."""
    if earlier is None:
        return problem
    import torch

    from reproducer.solver.problem import Progress
    from reproducer.solver.slots import END, TRACES

    arrays = {name: torch.from_numpy(array) for name, array in earlier.arrays.items()}
    traces = [arrays[f"trace_{name}"] for name in TRACES if f"trace_{name}" in arrays]
    begun = Progress(
        steps=earlier.metrics["steps"],
        seconds=earlier.metrics["seconds"],
        best_rows=arrays["rows"],
        trace=torch.stack(traces) if traces else None,
        **{name: arrays[f"end_{name}"] for name in END},
    )
    return replace(problem, begun=begun)
