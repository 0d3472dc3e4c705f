"""From specs to results: the store first, then the solver, each result stored as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from reproducer.models.language_model import LanguageModel, load_lm
from reproducer.results.budgets import can_go_on, continued, taken_over, under_smaller_budgets
from reproducer.results.packs import shipped
from reproducer.results.provenance import provenance
from reproducer.results.specs import SolveSpec, Spec
from reproducer.results.store import Result, Store
from reproducer.solver.solve import Solution, solve

_loaded: dict[tuple[str, str], LanguageModel] = {}


def cached_lm(name: str, dtype: str = "auto") -> LanguageModel:
    """`load_lm`, keeping the last model so that consecutive calls share it."""
    if (name, dtype) not in _loaded:
        _loaded.clear()
        _loaded[name, dtype] = load_lm(name, dtype=dtype)
    return _loaded[name, dtype]


def compute(
    specs: Sequence[Spec], store: Store | None = None, *, progress: bool = True
) -> list[Result]:
    """The results of `specs`, in their order.

    What the store holds is read; the rest is computed, and each result is stored when it is
    finished, so an interrupted call resumes where it was.
    """
    found = {result.key: result for result in results(specs, store, progress=progress)}
    return [found[spec.key] for spec in specs]


def results(
    specs: Iterable[Spec], store: Store | None = None, *, progress: bool = True
) -> Iterator[Result]:
    """The results of `specs`, once each: known ones first, the others as they finish.

    Known is what the repository ships or the store holds; a fit that is known under a smaller
    budget goes on from there (`reproducer.results.budgets`). A caller that has seen enough stops
    iterating; what is unfinished then is dropped.
    """
    store = store or Store()
    missing: dict[str, Spec] = {}
    for key, spec in {spec.key: spec for spec in specs}.items():
        known = shipped().get(key) or store.get(key)
        if known is None:
            missing[key] = spec
        else:
            yield known
    earlier = under_smaller_budgets(missing.values(), shipped(), store)
    for key, result in earlier.items():
        if result.metrics["solved"]:
            taken = taken_over(missing.pop(key), result)
            store.put(taken)
            yield taken
    for result in _computed(list(missing.values()), earlier, progress):
        store.put(result)
        yield result


def stored(specs: Iterable[Spec], store: Store | None = None) -> list[Result]:
    """Those results of `specs` that are shipped or in the store; nothing is computed."""
    store = store or Store()
    known = (shipped().get(spec.key) or store.get(spec.key) for spec in specs)
    return [result for result in known if result is not None]


def _computed(
    specs: list[Spec], earlier: Mapping[str, Result], progress: bool
) -> Iterator[Result]:
    fits: dict[tuple, list[SolveSpec]] = {}
    for spec in specs:
        if isinstance(spec, SolveSpec):
            batch = (spec.model, spec.dtype, spec.recipe, spec.trace)
            fits.setdefault(batch, []).append(spec)
    for batch in fits.values():
        yield from _solved(batch, earlier, progress)
    for spec in specs:
        if not isinstance(spec, SolveSpec):
            yield spec.run()


def _solved(
    specs: list[SolveSpec], earlier: Mapping[str, Result], progress: bool
) -> Iterator[Result]:
    first = specs[0]
    lm = cached_lm(first.model, first.dtype)
    problems = [continued(spec.problem(lm), earlier.get(spec.key)) for spec in specs]
    facts = provenance(lm)
    label = f"fitting {len(specs)} on {first.model}"
    with tqdm(desc=label, unit=" text-steps", disable=not progress, mininterval=5) as bar:
        done = 0
        for number, solution in solve(
            lm, problems, first.recipe, trace=first.trace, progress=bar.update
        ):
            done += 1
            bar.set_postfix_str(f"{done}/{len(specs)} done", refresh=False)
            spec = specs[number]
            origin = {"continues": earlier[spec.key].key} if spec.key in earlier else {}
            yield result_of(spec, solution, facts | origin)


def result_of(spec: SolveSpec, solution: Solution, facts: dict[str, Any]) -> Result:
    """A solution as it is stored: `rows`, `correct`, `nats`, traces, end; metrics in JSON."""
    data = spec.model_dump(mode="json")
    metrics = {
        "accuracy": solution.accuracy.tolist(),
        "loss_nats": solution.nats.mean(1).tolist(),
        "solved": solution.solved,
        "steps": solution.steps,
        "seconds": round(solution.seconds, 4),
        "goes_on": True,  # under a larger budget: see `reproducer.results.budgets`
    }
    arrays = {"rows": solution.rows, "correct": solution.correct, "nats": solution.nats}
    arrays |= {f"trace_{name}": values for name, values in solution.trace.items()}
    if can_go_on(data):
        arrays |= {f"end_{name}": value for name, value in solution.end.items()}
    return Result(spec.key, data, metrics, arrays, facts)
