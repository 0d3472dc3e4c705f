"""From specs to results: what is known is read, the rest computed, each result stored as it comes.

This is the one place that schedules, loads models and writes to a store.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel, device_of, fastest_dtype, load_lm
from reproducer.results.budgets import can_go_on, continued, taken_over, under_smaller_budgets
from reproducer.results.fits import FitSpec
from reproducer.results.integrity import finite_or_none
from reproducer.results.known import Known
from reproducer.results.leases import Leases
from reproducer.results.progress import Progress, following
from reproducer.results.provenance import provenance, software
from reproducer.results.specs import Result, SolveSpec, Spec, with_needs
from reproducer.solver.memory import memory_errors
from reproducer.solver.solve import Solution, solve

log = logging.getLogger(__name__)
ATTEMPTS = 3
_loaded: dict[str, LanguageModel] = {}


def cached_lm(name: str) -> LanguageModel:
    """`load_lm`, keeping the last model so that consecutive calls share it."""
    if name not in _loaded:
        _loaded.clear()
        _loaded[name] = load_lm(name)
    return _loaded[name]


def compute(
    specs: Sequence[Spec], known: Known | None = None, *, progress: bool | Progress = True
) -> list[Result]:
    """The results of `specs`, in their order, and before them of all that they need.

    What is known is read; the rest is computed, and each result is stored when it is
    finished, so an interrupted call resumes where it was. A fit that is known under a smaller
    budget goes on from there (`reproducer.results.budgets`).

    `progress`: whether to show a line of it, or the line of a longer run.
    """
    known = known or Known()
    # A damaged result is noticed when it is read; from then on it is missing, and computed again.
    for _ in range(ATTEMPTS):
        try:
            for _result in computing(specs, known, progress):
                pass
            return _all(specs, known)
        except _MissingError:
            continue
    raise ReproducerError(
        f"{known.store.path}: expected the results that were just written, got damaged ones"
    )


def computing(
    specs: Sequence[Spec], known: Known, progress: bool | Progress = True
) -> Iterator[Result]:
    """Compute what is missing, as `compute` does; yields each new result when it is stored.

    A caller that has seen enough stops iterating; what is unfinished then is dropped. What another
    run on the store has in progress is left to it, and taken over if that run ends.
    """
    levels = _levels(specs, known)
    missing = [spec for level in levels for spec in level if spec not in known]
    if not missing:
        return
    _require_permission(missing)
    with following(progress) as line, Leases(known.store) as leases:
        line.expect(specs, known)
        for level in levels:
            while wanted := _settled([spec for spec in level if spec not in known], known):
                for result in _computed(wanted, known, leases, line):
                    known.store.put(result)
                    leases.give_back(result.key)
                    line.finished(result)
                    yield result
                if left := [spec.key for spec in wanted if spec not in known]:
                    leases.wait(left)


def _require_permission(missing: Sequence[Spec]) -> None:
    """Raise where this process may only read results, as when the shipped book is built."""
    if os.environ.get("REPRODUCER_COMPUTE") == "never":
        first = missing[0]
        raise ReproducerError(
            f"{len(missing)} results are missing, the first of kind {first.kind!r} on "
            f"{first.model!r}, and REPRODUCER_COMPUTE=never forbids to compute them"
        )


class _MissingError(Exception):
    """A result that was known cannot be read."""


def _all(specs: Sequence[Spec], known: Known) -> list[Result]:
    results = known.all(specs)
    if len(results) < len(specs):
        raise _MissingError
    return results


def _levels(specs: Sequence[Spec], known: Known) -> list[list[Spec]]:
    """All specs, each once, in levels: a level needs only what is known or stands in earlier ones.

    What a known result was computed from is left out.
    """
    height: dict[str, int] = {}
    levels: list[list[Spec]] = []
    for spec in with_needs(specs, known):
        level = 1 + max((height.get(needed.key, -1) for needed in spec.needs), default=-1)
        height[spec.key] = level
        if level == len(levels):
            levels.append([])
        levels[level].append(spec)
    return levels


def _settled(specs: list[Spec], known: Known) -> list[Spec]:
    """The specs with their dtypes settled, each once."""
    if not specs:
        return []
    fallback = fastest_dtype(device_of("auto"))
    settled = [known.settled(spec, fallback) for spec in specs]
    return list({spec.key: spec for spec in settled}.values())


def _computed(
    specs: list[Spec], known: Known, leases: Leases, line: Progress
) -> Iterator[Result]:
    """The results of those of `specs` whose leases could be taken."""
    fits = [spec for spec in specs if isinstance(spec, FitSpec)]
    earlier = under_smaller_budgets(fits, known.sources)
    batches: dict[tuple, list[SolveSpec]] = {}
    for spec in specs:
        if spec.key in earlier and earlier[spec.key].metrics["solved"]:
            yield taken_over(spec, earlier[spec.key])
        elif isinstance(spec, SolveSpec):
            batch = (spec.model, spec.weights, spec.dtype, spec.recipe, spec.trace)
            batches.setdefault(batch, []).append(spec)
    for batch in batches.values():
        with memory_errors(_asked(batch)):
            yield from _solved(batch, known, earlier, leases, line)
    for spec in specs:
        if not isinstance(spec, SolveSpec) and leases.take(spec.key):
            line.begin()
            with memory_errors(_asked([spec])):
                result = _measured(spec, known)
            yield result


def _asked(specs: Sequence[Spec]) -> str:
    """Some specs of one kind, model and dtype, in the words of an error."""
    first = specs[0]
    more = f" and {len(specs) - 1} more" if len(specs) > 1 else ""
    return (
        f"{first.kind} {first.key[:12]}{more} on {first.model!r} in {first.dtype}; what is "
        "finished is stored"
    )


def _measured(spec: Spec, known: Known) -> Result:
    lm = _model_of(spec) if spec.LOADS_MODEL else None
    outcome = spec.run(lm, _all(spec.needs, known))
    facts = provenance(lm) if lm else {"weights": spec.weights, "dtype": spec.dtype, **software()}
    arrays = {name: as_numpy(array) for name, array in outcome.arrays.items()}
    metrics = finite_or_none(outcome.metrics)
    return Result(spec.key, spec.model_dump(mode="json"), metrics, arrays, facts)


def _model_of(spec: Spec) -> LanguageModel:
    """The model of a spec in the spec's dtype, if its weights are those that the spec names."""
    lm = cached_lm(spec.model)
    if lm.card.weights != spec.weights:
        raise ReproducerError(
            f"model {spec.model!r}: expected the weights {spec.weights}, got {lm.card.weights}"
        )
    return lm.in_dtype(spec.dtype)


def _solved(
    specs: list[SolveSpec],
    known: Known,
    earlier: Mapping[str, Result],
    leases: Leases,
    line: Progress,
) -> Iterator[Result]:
    first = specs[0]
    lm = _model_of(first)
    problems = [
        continued(spec.problem(lm, _all(spec.needs, known)), earlier.get(spec.key))
        for spec in specs
    ]
    facts = provenance(lm)
    line.begin()
    for number, solution in solve(
        lm,
        problems,
        first.recipe,
        trace=first.trace,
        progress=line.stepped,
        admit=lambda number: leases.take(specs[number].key),
    ):
        spec = specs[number]
        line.ended(len(solution.correct) * spec.recipe.max_steps)
        origin = {"continues": earlier[spec.key].key} if spec.key in earlier else {}
        if solution.failed_at is not None:
            log.warning(
                "%s %s on %s failed at step %d: its loss is not finite any more",
                *(spec.kind, spec.key[:12], spec.model, solution.failed_at),
            )
        yield result_of(spec, solution, facts | origin)


def result_of(spec: SolveSpec, solution: Solution, facts: dict[str, Any]) -> Result:
    """A solution as it is stored: `rows`, `correct`, `nats`, traces, end; metrics in JSON.

    A sequence whose loss is no number has no accuracy, either.
    """
    data = spec.model_dump(mode="json")
    measured = solution.nats.isfinite().all(1).tolist()
    # As a reader computes it from the array, to the last bit.
    accuracies = solution.correct.numpy().mean(1).tolist()
    metrics = {
        "accuracy": [a if told else None for a, told in zip(accuracies, measured, strict=True)],
        "loss_nats": solution.nats.mean(1).tolist(),
        "solved": solution.solved,
        "steps": solution.steps,
        "seconds": round(solution.seconds, 4),
        # Under a larger budget: see `reproducer.results.budgets`.
        "goes_on": solution.failed_at is None,
    }
    if solution.failed_at is not None:
        metrics["failed_at"] = solution.failed_at
    arrays = {"rows": solution.rows, "correct": solution.correct, "nats": solution.nats}
    arrays |= {f"trace_{name}": values for name, values in solution.trace.items()}
    if can_go_on(data) and metrics["goes_on"]:
        arrays |= {f"end_{name}": value for name, value in solution.end.items()}
    numbers = {name: as_numpy(array) for name, array in arrays.items()}
    return Result(spec.key, data, finite_or_none(metrics), numbers, facts)


def as_numpy(array: torch.Tensor | np.ndarray) -> np.ndarray:
    """A tensor as a NumPy array on the CPU."""
    return array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)

