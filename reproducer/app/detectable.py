"""What the claims of an experiment could show at a planned size, from the spread seen so far."""

from __future__ import annotations

from dataclasses import dataclass

from reproducer.app.stand_ins import planned_specs
from reproducer.app.status import Asked
from reproducer.experiments.claims import Verdict, planned, planned_units
from reproducer.experiments.ledger import verdicts_of
from reproducer.experiments.profiles import SHIPPED, ExperimentParams, load_params
from reproducer.experiments.study import module_of, study
from reproducer.results.known import Known

NOTHING_KNOWN = "no stored result to take the spread from"
NO_EFFECT = "no effect would be shown at this n with the spread seen"


@dataclass(frozen=True)
class Detectable:
    """The smallest effect that a claim could show, or why none can be told.

    `smallest_effect`: the true value that `n` of what `unit` names would tell from the boundary of
    the criterion with probability 0.8. `n` grows with the number of texts. `spread_from`: whose
    results say how much one unit differs from another.
    """

    experiment: str
    claim: str
    n: int
    unit: str
    criterion: str
    smallest_effect: float | None
    why_not: str
    spread_from: str


def detectable(params: ExperimentParams, known: Known) -> list[Detectable]:
    """What each claim of an experiment could show with `params`; computes no fit."""
    basis, source = _basis(params)
    growth = _size(params) / _size(basis)
    with planned(growth):
        return [
            Detectable(
                experiment=params.experiment,
                claim=v.id,
                n=planned_units(v.n),
                unit=v.unit,
                criterion=v.criterion,
                smallest_effect=v.smallest_effect,
                why_not="" if v.smallest_effect is not None else v.needs or NO_EFFECT,
                spread_from=source,
            )
            for v in _verdicts(basis, known, growth)
        ] or [_untold(params)]


def _basis(params: ExperimentParams) -> tuple[ExperimentParams, str]:
    """These parameters if all results of them are known, else those of the shipped profile."""
    if _all_known(params):
        return params, params.profile
    shipped = load_params(params.experiment, SHIPPED)
    return shipped, f"{SHIPPED} on {shipped.model}"


def _verdicts(basis: ExperimentParams, known: Known, growth: float) -> list[Verdict]:
    if growth == 1:
        return verdicts_of(basis, known)  # they are kept; resampling takes seconds
    frame = study(basis, compute=False, known=known)
    return module_of(basis).claims(frame) if len(frame) else []


def _all_known(params: ExperimentParams) -> bool:
    asked = planned_specs(params, Asked())
    return not asked.notes and not asked.open and all(spec in asked.known for spec in asked.specs)


def _size(params: ExperimentParams) -> int:
    """How many units are sampled: batches, or texts, or the same number whatever the profile."""
    name = "n_batches" if hasattr(params, "n_batches") else "n_texts"
    return 1 if name in getattr(params, "UNUSED", ()) else getattr(params, name)


def _untold(params: ExperimentParams) -> Detectable:
    return Detectable(params.experiment, "–", 0, "", "", None, NOTHING_KNOWN, "")
