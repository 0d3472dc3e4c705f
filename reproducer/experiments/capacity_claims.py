"""Verdicts of the capacity experiment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from reproducer.analysis.ratios import ratio_of_means
from reproducer.experiments.base import tested
from reproducer.experiments.capacity_views import capacities, kind
from reproducer.experiments.published import published
from reproducer.experiments.trials import NEEDS, enough
from reproducer.experiments.verdicts import Verdict, judge
from reproducer.models.zoo import MODELS

NATURAL = ("unseen", "seen")
ONE_STEP = 2**0.5  # from one length of the papers' grid to the next


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Growth with size in both families; natural sources alike; random words worse."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    held = capacities(df)
    held = held[held["way"] == "own m"].assign(kind=lambda d: d["source"].map(kind))
    if held.empty:
        return []
    grows = _growth(held, "llama", "grows with model size", "above 1", lambda r: r > 1)
    flat = _growth(held, "pythia", "does not grow with size", "below 1.25", lambda r: r < 1.25)
    return [grows, flat, _natural_alike(held), _random_worse(held)]


def _growth(held: pd.DataFrame, family: str, says: str, within: str, holds: Callable) -> Verdict:
    theirs = published("capacity").query("source == 'pg19' and not shared_m")
    nats = theirs[theirs["model"].str.startswith(family)]["h_lm_mean_nats"]
    present = [m for m in MODELS if m.startswith(family) and m in set(held["model"])]
    natural = held[held["kind"].isin(NATURAL)]
    sides = [natural[natural["model"] == model] for model in present]
    return _ratio_verdict(
        held,
        (sides[-1], sides[0]) if len(sides) > 1 else None,
        "h_lm_nats",
        holds,
        id=f"A3.size-{family}",
        claim=f"Capacity {says} for {family.capitalize()}: nats, largest over smallest model",
        published=f"{nats.iloc[-1] / nats.iloc[0]:.2f} (PG-19)",
        criterion=f"ratio of means over natural texts, own m, {within}, whole interval; needs two "
        f"models of the family; {NEEDS}",
        model=", ".join(present) or held["model"].iloc[0],
    )


def _natural_alike(held: pd.DataFrame) -> Verdict:
    first = held[held["model"] == held["model"].iloc[0]]
    sides = [first[first["kind"] == name] for name in NATURAL]
    sides.sort(key=lambda side: -side["held_tokens"].mean() if len(side) else 0)
    return _ratio_verdict(
        first,
        tuple(sides) if all(map(len, sides)) else None,
        "held_tokens",
        lambda r: r < ONE_STEP,
        id="A3.natural",
        claim="Natural sources are alike: tokens, the better source over the other",
        published="1.00 (362 and 362, Llama-3.2-1B)",
        criterion="ratio of means over seen and unseen texts, own m, below 1.41 (one step of the "
        f"grid), whole interval; {NEEDS}",
        model=first["model"].iloc[0],
    )


def _random_worse(held: pd.DataFrame) -> Verdict:
    first = held[held["model"] == held["model"].iloc[0]]
    sides = first[first["kind"] == "random words"], first[first["kind"].isin(NATURAL)]
    return _ratio_verdict(
        first,
        sides if all(map(len, sides)) else None,
        "held_tokens",
        lambda r: r < 1,
        id="A3.random",
        claim="Random words are worse: tokens, random words over natural text",
        published="0.71 (256 and 362, Llama-3.2-1B)",
        criterion=f"ratio of means, own m, below 1, whole interval; {NEEDS}",
        model=first["model"].iloc[0],
    )


def _ratio_verdict(
    held: pd.DataFrame,
    sides: tuple[pd.DataFrame, pd.DataFrame] | None,
    quantity: str,
    holds: Callable[[float], bool],
    **fields,
) -> Verdict:
    """A verdict on the ratio of two groups of texts; None where one group is missing."""
    numbers, verdict, n = (None, None, None), "not tested at this scale", 0
    if sides:
        n = min(len(side) for side in sides)
        found = ratio_of_means(*(side[quantity] for side in sides), paired=False)
        if np.isfinite(found).all():
            numbers = found
            verdict = judge(*numbers[1:], holds) if all(map(enough, sides)) else verdict
    return Verdict(
        experiment="capacity",
        **dict(zip(("ours", "low", "high"), numbers, strict=True)),
        n=n or held["text"].nunique(),
        profile=held["profile"].iloc[0],
        verdict=verdict,
        **fields,
    )
