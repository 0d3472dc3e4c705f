"""How many steps a fit will take, told from comparable fits that are stored.

A fit ends when its text is held, or at its budget. Which of them ends early is known only
afterwards; of many fits, those of the same model and recipe at about the same length tell.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from reproducer.results.specs import Result, SolveSpec

# Fewer comparable fits tell nothing.
LEAST = 5
# Lengths this many times longer or shorter are not comparable.
FACTOR = 2.0


class Course(NamedTuple):
    """The steps that a fit took, and whether it went on to its budget without an end of its own."""

    steps: int
    censored: bool

    def within(self, budget: int) -> int:
        """The steps it would have taken under another budget."""
        # Of a fit that was cut off nobody knows when it would have ended: not before the budget.
        return budget if self.censored else min(self.steps, budget)


class Forecast:
    """The steps to expect of fits, from the facts of stored ones."""

    def __init__(self, stored: Iterable[Result]) -> None:
        self._courses: dict[tuple, dict[int, list[Course]]] = defaultdict(lambda: defaultdict(list))
        for result in stored:
            if "recipe" not in result.spec or "steps" not in result.metrics:
                continue
            for kind in _kinds(result.spec):
                courses = self._courses[kind][_length(result.spec)]
                courses.append(_course(result))

    def steps(self, spec: SolveSpec, begun: int = 0) -> float | None:
        """Mean steps that a fit has yet to take after `begun`; None if no stored fit compares."""
        budget = spec.recipe.max_steps
        if spec.recipe.stop_accuracy is None or spec.kind == "curve":
            return budget - begun  # these have no other end
        data = spec.model_dump(mode="json")
        for kind in _kinds(data):
            courses = self._near(kind, _length(data))
            if len(courses) >= LEAST:
                taken = [course.within(budget) for course in courses]
                later = [steps - begun for steps in taken if steps > begun]
                return sum(later) / len(later) if later else budget - begun
        return None

    def _near(self, kind: tuple, n_tokens: int) -> list[Course]:
        """The courses at the length nearest to `n_tokens`, if it is near enough."""
        lengths = self._courses.get(kind, {})
        distance = {length: abs(math.log(length / n_tokens)) for length in lengths}
        nearest = min(distance, key=distance.get, default=None)
        near = nearest is not None and distance[nearest] <= math.log(FACTOR) + 1e-9
        return lengths[nearest] if near else []


def _kinds(spec: dict[str, Any]) -> list[tuple]:
    """What makes fits comparable, narrow first: also the design, or model and recipe alone."""
    recipe = spec["recipe"]
    common = (spec["model"], recipe["name"], recipe["stop_accuracy"])
    design = tuple(spec.get(name) for name in ("arrangement", "share", "n_mem", "first", "copies"))
    return [(*common, spec["kind"], *design, len(spec.get("texts", ()))), common]


def _length(spec: dict[str, Any]) -> int:
    """Tokens of a text of the fit; of a curve, those of its ends; else it is a single word."""
    if "ends" in spec:
        return _length(spec["ends"][0]["fit"])
    texts = spec.get("texts") or [spec.get("text")]
    return len(texts[0]["tokens"]) if texts[0] else 1


def _course(result: Result) -> Course:
    metrics = result.metrics
    return Course(metrics["steps"], not metrics["solved"] and "failed_at" not in metrics)
