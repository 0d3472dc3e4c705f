"""The verdicts on the semantic regularizers (Bondarenko et al. §4.7–4.8)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.analysis.matrices import interval
from reproducer.experiments.verdicts import Verdict, verdict_on

WEAK, STRONG = 0.02, 0.5
MIN_TEXTS, MIN_BATCHES, MIN_ACCURACY = 10, 5, 0.8

Numbers = tuple[float | None, float | None, float | None]
NONE: Numbers = (None, None, None)


def regularizer_claims(
    anchor: pd.DataFrame, relational: pd.DataFrame, between: Callable[[pd.DataFrame], np.ndarray]
) -> list[Verdict]:
    """Verdicts on the rows of B5 and of B6; `between` gives correlations between batches."""
    return [*anchor_claims(anchor), *relational_claims(relational, between)]


def anchor_claims(anchor: pd.DataFrame) -> list[Verdict]:
    """A weak anchor keeps reconstruction and changes nothing; a strong one does the reverse."""
    some = anchor[anchor["start"] == "teacher"] if "teacher" in set(anchor["start"]) else anchor
    by_text = some.pivot_table(index="text", columns="weight", values=["accuracy", "agreement"])
    accuracy, cosine = by_text["accuracy"], by_text["agreement"]
    known = {0.0, WEAK, STRONG} <= set(accuracy.columns)
    enough = known and len(by_text) >= MIN_TEXTS and accuracy[0.0].mean() >= MIN_ACCURACY
    needs = f"needs {MIN_TEXTS} texts, of accuracy {MIN_ACCURACY} without the anchor"
    rows = [
        (
            "B5.weak",
            f"An anchor of weight {WEAK:g} keeps reconstruction: change of accuracy",
            "mostly survives",
            (lambda: accuracy[WEAK] - accuracy[0.0], -0.1, np.inf),
        ),
        (
            "B5.weak-cosine",
            f"An anchor of weight {WEAK:g} leaves e far from the teacher: final cosine",
            "near 0",
            (lambda: cosine[WEAK], -0.2, 0.2),
        ),
        (
            "B5.strong",
            f"An anchor of weight {STRONG:g} costs reconstruction: change of accuracy",
            "falls sharply",
            (lambda: accuracy[STRONG] - accuracy[0.0], -np.inf, -0.2),
        ),
        (
            "B5.strong-cosine",
            f"An anchor of weight {STRONG:g} brings e closer: final cosine, minus that of {WEAK:g}",
            "rises",
            (lambda: cosine[STRONG] - cosine[WEAK], 0.2, np.inf),
        ),
    ]
    return [
        _verdict(
            anchor,
            bootstrap_interval(values()) if known else NONE,
            (low, high),
            enough,
            id=name,
            claim=claim,
            published=f"{published} (figures)",
            n=len(by_text),
            criterion=f"{_between(low, high)}, whole interval over texts, e starting at the "
            f"teacher; {needs}",
        )
        for name, claim, published, (values, low, high) in rows
    ]


def relational_claims(
    relational: pd.DataFrame, between: Callable[[pd.DataFrame], np.ndarray]
) -> list[Verdict]:
    """The relational term raises the correlation, costs no accuracy; does it generalise?"""
    own = relational[relational["share"] == relational["share"].iloc[0]]
    plain, strongest = own[own["weight"] == 0], own[own["weight"] == own["weight"].max()]
    strongest = strongest[strongest["term"] == strongest["term"].iloc[0]]
    n = own["batch"].nunique()
    known = len(plain) > 0 and strongest["weight"].max() > 0
    enough = known and n >= MIN_BATCHES and plain["accuracy"].mean() >= MIN_ACCURACY
    name = strongest["setting"].iloc[0]
    gain, cost, spread = NONE, NONE, NONE
    if known:
        with_, without = (
            some.groupby("batch")[["agreement", "accuracy"]].mean() for some in (strongest, plain)
        )
        gain = bootstrap_interval(with_["agreement"] - without["agreement"])
        cost = bootstrap_interval(with_["accuracy"] - without["accuracy"])
        draws = between(strongest) - between(plain)
        spread = NONE if np.isnan(draws[0]) else (float(draws[0]), *interval(draws[1:]))
    needs = f"whole interval over batches; needs {MIN_BATCHES} batches, of accuracy {MIN_ACCURACY}"
    common = {"n": n}
    return [
        _verdict(
            own,
            gain,
            (0.2, np.inf),
            enough,
            id="B6.correlation",
            claim=f"The relational term ({name}) raises the correlation in its batch: gain",
            published="rises (figures)",
            criterion=f"{_between(0.2, np.inf)}, {needs}",
            **common,
        ),
        _verdict(
            own,
            cost,
            (-0.05, np.inf),
            enough,
            id="B6.accuracy",
            claim=f"The relational term ({name}) costs no accuracy: change",
            published="does not fall (figures)",
            criterion=f"{_between(-0.05, np.inf)}, {needs}",
            **common,
        ),
        _verdict(
            own,
            spread,
            (0.1, np.inf),
            enough and spread is not NONE,
            id="B6.generalises",
            claim=f"The relation ({name}) holds between texts of different batches too: gain",
            published="not tested",
            criterion=f"{_between(0.1, np.inf)}, {needs}",
            **common,
        ),
    ]


def _between(low: float, high: float) -> str:
    if np.isinf(high):
        return f"above {low:g}"
    return f"below {high:g}" if np.isinf(low) else f"between {low:g} and {high:g}"


def _verdict(
    df: pd.DataFrame, numbers: Numbers, bounds: tuple[float, float], enough: bool, **fields
) -> Verdict:
    least, most = bounds
    fields |= {"experiment": "semantic_regularizers"}
    return verdict_on(df, numbers, lambda v: least < v < most, enough, **fields)
