"""Claims and what follows from results: words and verdicts.

A claim has one part or several, each an interval and a criterion. A verdict is computed from
them, never typed. With `d` one paired difference of accuracies a text:

    verdict(
        df,
        (mean_interval(d, bounds=(-1, 1)), above(0.1, "a tenth of the tokens")),
        id="A1.example", experiment="arrangements", claim="…", published="…", unit="texts",
    )

`share_interval`, `ratio_interval` and `statistic_interval` stand in the same place; a claim of
several parts gives more such pairs, each with a name as a third entry.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict

from reproducer.experiments.cells import with_ends
from reproducer.experiments.criteria import (
    Criterion,
    Outcome,
    above,
    below,
    judge,
    p_value,
    smallest_shown,
    units_to_decide,
    within,
)

if TYPE_CHECKING:  # scipy comes with it, which the command line can do without
    from reproducer.analysis.estimates import Interval

Word = Literal[
    "reproduced",
    "contradicted",
    "inconclusive",
    "partly",
    "not tested here",
    "holds",
    "does not hold",
]
# What a claim is written with stands here; criteria.py says what it means.
__all__ = ["Part", "Verdict", "above", "below", "judge", "verdict", "with_holm", "within", "word"]
NOT_IN_PAPERS = "not in the papers"
UNTRAINED = "tiny"  # the random weights of the tests
MANY = 10_000
# How many times as many units `smallest_effect` is worked out for as there are.
_growth: ContextVar[float] = ContextVar("growth", default=1.0)


def word(outcomes: Sequence[Outcome], own: bool, tested: bool) -> Word:
    """What a claim's parts come to.

    | parts | a paper's claim | our own |
    |---|---|---|
    | all for | reproduced | holds |
    | all against | contradicted | does not hold |
    | some for, some not | partly | does not hold if one is against, else inconclusive |
    | none for, some undecided | inconclusive | does not hold if one is against, else inconclusive |
    | not tested, or no part | not tested here | not tested here |
    """
    kinds = set(outcomes)
    if not tested or not kinds:
        return "not tested here"
    if kinds == {"for"}:
        return "holds" if own else "reproduced"
    if own:
        return "does not hold" if "against" in kinds else "inconclusive"
    if "for" in kinds:
        return "partly"
    return "contradicted" if kinds == {"against"} else "inconclusive"


class Verdict(BaseModel):
    """One row of the ledger.

    `published`, `ours`, `low`, `high` and `smallest_effect` are in the unit of measurement that
    `claim` or `criterion` names; `low … high` is a 95 % interval over `n` of what `unit` names;
    None stands for no number, or for an end that the data leave open. A claim of several parts
    shows the part that is farthest from being met, and all of them in `parts`, each as text.

    `smallest_effect`: the true value that n units would have told from the criterion's boundary
    with probability 0.8. `p`: two-sided, of the least certain part. `holm`: whether the word
    survives Holm's correction over its family (`with_holm`). `needs`: what would decide an
    inconclusive claim, or allow to test one, as it follows after "it needs".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    experiment: str
    claim: str
    published: str
    ours: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    model: str
    profile: str
    criterion: str
    verdict: Word
    own: bool
    smallest_effect: float | None
    p: float | None
    holm: bool | None = None
    needs: str = ""
    parts: tuple[str, ...] = ()


class Part(NamedTuple):
    """An interval, the criterion it is judged by, and a name where a claim has several."""

    interval: Interval
    criterion: Criterion
    name: str = ""

    def titled(self, text: str) -> str:
        return f"{self.name}: {text}" if self.name else text


@contextmanager
def planned(growth: float) -> Iterator[None]:
    """Inside, `smallest_effect` is that of `growth` times as many units, at the same spread."""
    before = _growth.set(growth)
    try:
        yield
    finally:
        _growth.reset(before)


def planned_units(n: int) -> int:
    """The number of units for which `smallest_effect` is worked out, of a claim on `n`."""
    return round(_growth.get() * n)


def verdict(
    df: pd.DataFrame,
    *parts: Part | tuple,
    unit: str,
    published: str = NOT_IN_PAPERS,
    untested: str = "",
    own: bool | None = None,
    **fields: Any,
) -> Verdict:
    """The verdict on a claim that holds if all its parts do.

    Args:
        df: the experiment's frame; its models and profile are named.
        parts: (interval, criterion) or (interval, criterion, name).
        unit: what is resampled, in the plural: texts, contexts, groups, vocabularies.
        untested: why the claim cannot be judged whatever the intervals are ("a GPU", "groups of 16
            or more texts", "a larger model"), told as what it needs; "" if it can.
        own: whether the claim is ours; None: if its `id` has no paper's letter and number.
        fields: `id`, `experiment`, `claim`.
    """
    judged = [Part(*part) for part in parts]
    models = list(dict.fromkeys(df["model"])) if len(df) else []
    lacking = [part.interval.needs for part in judged if not part.interval.given]
    if UNTRAINED in models:
        untested = untested or "a trained model"
    needs = untested or "; ".join(dict.fromkeys(_in_units(need, unit) for need in lacking))
    ready = bool(judged) and not needs
    outcomes = [judge(part.interval, part.criterion) for part in judged]
    if own is None:
        own = re.match(r"[AB]\d", fields["id"]) is None
    said = word(outcomes, own, ready)
    if ready and said in ("inconclusive", "partly"):
        needs = _wanted(judged, outcomes, unit)
    shown = _weakest(judged, outcomes)
    return Verdict(
        **_numbers(shown),
        unit=unit,
        published=published,
        model=", ".join(models),
        profile=df["profile"].iloc[0] if len(df) else "",
        criterion="; ".join(part.titled(str(part.criterion)) for part in judged),
        verdict=said,
        own=own,
        p=_finite(_joint_p(judged, outcomes, said)) if ready else None,
        needs=needs,
        parts=_all_told(judged, outcomes, unit) if len(judged) > 1 else (),
        **fields,
    )


def with_holm(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Each verdict with `holm`: the first paper's claims, the second's and our own apart.

    Holm 1979: with the p of a family in rising order, the k-th of m survives if it and all before
    it satisfy p ≤ 0.05 / (m − k + 1). Claims that were not tested belong to no family.
    """
    verdicts = list(verdicts)
    survives: dict[int, bool] = {}
    for family in {_family(v) for v in verdicts}:
        members = (i for i, v in enumerate(verdicts) if v.p is not None and _family(v) == family)
        ranked = sorted((verdicts[i].p, i) for i in members)
        so_far = True
        for k, (p, i) in enumerate(ranked):
            so_far = so_far and p <= 0.05 / (len(ranked) - k)
            survives[i] = so_far
    return [v.model_copy(update={"holm": survives.get(i)}) for i, v in enumerate(verdicts)]


def _joint_p(parts: Sequence[Part], outcomes: Sequence[Outcome], said: Word) -> float:
    """The least certain part's p; where one part that fails is enough, Bonferroni's over parts."""
    values = [p_value(part.interval, part.criterion) for part in parts]
    if said != "does not hold":
        return max(values)
    failed = [p for p, outcome in zip(values, outcomes, strict=True) if outcome == "against"]
    return min(1.0, len(parts) * min(failed))


def _family(v: Verdict) -> str:
    return "own" if v.own else v.id[0]


def _weakest(parts: Sequence[Part], outcomes: Sequence[Outcome]) -> Part | None:
    rank = {"against": 0, "undecided": 1, "for": 2}
    order = sorted(range(len(parts)), key=lambda i: (parts[i].interval.given, rank[outcomes[i]]))
    return parts[order[0]] if order else None


def _numbers(part: Part | None) -> dict[str, float | int | None]:
    names = ("ours", "low", "high", "smallest_effect")
    if part is None:
        return {"n": 0} | dict.fromkeys(names)
    interval, criterion, _ = part
    ends = interval.estimate, interval.low, interval.high, _smallest(interval, criterion)
    return {"n": interval.n} | dict(zip(names, map(_finite, ends), strict=True))


def _smallest(interval: Interval, criterion: Criterion) -> float:
    return smallest_shown(interval, criterion, planned_units(interval.n))


def _wanted(parts: Sequence[Part], outcomes: Sequence[Outcome], unit: str) -> str:
    """About how many units would decide the undecided parts, if estimate and spread stay."""
    undecided = (part for part, o in zip(parts, outcomes, strict=True) if o == "undecided")
    wanted = max((units_to_decide(*part[:2]) for part in undecided), default=0)
    if math.isinf(wanted):
        return f"more {unit}, or a larger budget: the interval is open on one side"
    if wanted > MANY:
        return f"more than {MANY} {unit}, at this estimate and spread"
    # Two figures: it is an extrapolation.
    count = f"{float(f'{wanted:.2g}'):.0f}"
    return f"about {count} {unit}, at this estimate and spread" if wanted else ""


def _all_told(parts: Sequence[Part], outcomes: Sequence[Outcome], unit: str) -> tuple[str, ...]:
    return tuple(_told(*part, unit) for part in zip(parts, outcomes, strict=True))


def _told(part: Part, outcome: Outcome, unit: str) -> str:
    i = part.interval
    said = outcome if i.given else f"needs {_in_units(i.needs, unit)}"
    return part.titled(f"{with_ends(i)}, n = {i.n}, {part.criterion}: {said}")


def _in_units(need: str, unit: str) -> str:
    """What an interval needs, with the name of what is resampled."""
    return need.replace("units", unit)


def _finite(value: float) -> float | None:
    """A number of JSON: None for one that does not exist, and no sign before 0."""
    return float(value) + 0.0 if math.isfinite(value) else None
