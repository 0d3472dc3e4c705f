"""A7, A8: effects, regressions and verdicts on the distances between solutions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.analysis.pair_regression import PairFit, pair_regression
from reproducer.errors import ReproducerError
from reproducer.experiments.base import tested
from reproducer.experiments.verdicts import Verdict, verdict_on

SAME_TEXT, SAME_CONTEXT, DIFFERENT = GROUPS = ("same text", "same context", "different contexts")
COMPARISONS = ((SAME_TEXT, SAME_CONTEXT), (SAME_CONTEXT, DIFFERENT))
MEASURES = {"token_distance": "TF-IDF", "semantic_distance": "MiniLM"}
MIN_CONTEXTS, MIN_CLUSTERS = 4, 8


def effects(df: pd.DataFrame) -> pd.DataFrame:
    """For each context and comparison: how surely the first group is closer than the second.

    `chance` is the probability that a pair of the first group is closer than one of the second
    (ties count half), both touching the context; 0.5 is no difference. `gap` is the difference
    of mean distances, second minus first. Rows: share, role, nearer, farther, context.
    """
    rows = []
    for (share, role), pairs in df.groupby(["share", "role"]):
        for context in sorted(set(pairs["context_a"]) | set(pairs["context_b"])):
            touching = pairs[(pairs["context_a"] == context) | (pairs["context_b"] == context)]
            by_group = {name: g["distance"] for name, g in touching.groupby("group")}
            for near, far in COMPARISONS:
                if near in by_group and far in by_group:
                    x, y = by_group[near], by_group[far]
                    chance = stats.mannwhitneyu(y, x).statistic / (len(x) * len(y))
                    rows.append((share, role, near, far, context, chance, y.mean() - x.mean()))
    names = ["share", "role", "nearer", "farther", "context", "chance", "gap"]
    return pd.DataFrame(rows, columns=names)


def regressions(df: pd.DataFrame) -> dict[tuple[str, str, str], PairFit]:
    """Distance on text distance and `same_context`, for each (share, role, text distance).

    Over pairs of different texts. Left out where they do not allow it, as with one context.
    """
    found = {}
    for (share, role), pairs in df[df["group"] != SAME_TEXT].groupby(["share", "role"]):
        for measure in MEASURES:
            try:
                fitted = pair_regression(pairs, "distance", [measure, "same_context"])
            except ReproducerError:
                continue
            found[share, role, measure] = fitted
    return found


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Verdicts on `e`, with shared `m` as in the paper if that was run."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    share = "m" if "m" in set(df["share"]) else "none"
    of_e = df[(df["share"] == share) & (df["role"] == "e")]
    found = effects(of_e)
    closer = [_closer(of_e, found[found["nearer"] == near], near, far) for near, far in COMPARISONS]
    fitted = regressions(of_e)
    return [*closer, *(_at_equal_distance(of_e, fitted.get((share, "e", m)), m) for m in MEASURES)]


def _closer(df: pd.DataFrame, found: pd.DataFrame, near: str, far: str) -> Verdict:
    enough = len(found) >= MIN_CONTEXTS
    numbers = bootstrap_interval(found["chance"]) if len(found) else (None, None, None)
    return verdict_on(
        df,
        numbers,
        lambda c: c > 0.5,
        enough,
        experiment="distances",
        id=f"A7.{near.replace(' ', '-')}",
        claim=f"Solutions of the {near} are closer than those of {_article(far)}: chance that "
        "a pair of the former is closer than one of the latter",
        published="shown as separate densities; no number",
        n=len(found),
        criterion="chance above 0.5, whole interval over contexts; "
        f"needs {MIN_CONTEXTS} or more contexts",
    )


def _at_equal_distance(df: pd.DataFrame, fitted: PairFit | None, measure: str) -> Verdict:
    numbers = fitted.interval("same_context") if fitted else (None, None, None)
    n_contexts = fitted.n_contexts if fitted else 0
    known = fitted is not None and not np.isnan(numbers[1])
    enough = known and n_contexts >= MIN_CLUSTERS
    return verdict_on(
        df,
        numbers if known else (numbers[0], None, None),
        lambda c: c < 0,
        enough,
        experiment="distances",
        id=f"A8.{measure.replace('_', '-')}",
        claim=f"At equal {MEASURES[measure]} distance of the texts, solutions of one context are "
        "closer: change of cosine distance from sharing the context",
        published="shown as binned means; no number",
        n=n_contexts,
        criterion="regression coefficient below 0, whole interval, errors clustered by context; "
        f"needs {MIN_CLUSTERS} or more contexts",
    )


def _article(group: str) -> str:
    return f"the {group}" if group == SAME_CONTEXT else group
