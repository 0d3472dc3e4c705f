"""How near texts of a family lie by a vector; the frame is `reproducer.experiments.semantics`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reproducer.analysis.clusters import (
    closeness,
    closeness_near_one,
    cosine_distances,
    group_wins,
)
from reproducer.analysis.matrices import mantel_interval
from reproducer.experiments.base import STARTS
from reproducer.results.vectors import TOKENS, stacked

if TYPE_CHECKING:
    from reproducer.analysis.estimates import Interval

KINDS = {"lexical": "misspelt variants", "paraphrase": "paraphrases"}
REFERENCES = ("bag of tokens", "number of tokens", "encoder")
VECTORS = (*TOKENS, *REFERENCES)
DESIGN = ["start", "recipe", "length", "share"]


def usable(df: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Solved originals and variants of one kind, of families with two or more of them."""
    some = df[(df["accuracy"] >= df["min_accuracy"]) & df["kind"].isin(("original", kind))]
    return some[some.groupby([*DESIGN, "seed", "family"])["text"].transform("size") >= 2]


def distances_of(frame: pd.DataFrame, name: str) -> np.ndarray | None:
    """Distances between texts (n, n) by one of `VECTORS`; None if it can tell nothing here."""
    if name == "encoder":
        missing = frame["encoder"].isna().any()
        return None if missing else cosine_distances(np.stack(frame["encoder"].to_list()))
    if name == "number of tokens":
        n = frame["n_tokens"].to_numpy(float)
        return np.abs(n[:, None] - n) if np.ptp(n) else None
    if name == "bag of tokens":
        vocabulary = np.unique(np.concatenate(frame["tokens"].to_list()))
        bags = [np.isin(vocabulary, tokens) for tokens in frame["tokens"]]
        return cosine_distances(np.array(bags, dtype=float))
    if name != "e" and (frame["share"] != "none").any():
        return None  # one m for all texts
    return cosine_distances(stacked(frame, name))


def wins(frame: pd.DataFrame, name: str) -> pd.DataFrame | None:
    """`group_wins` between families by one of `VECTORS`, mean over seeds; of one design."""
    of_seed = []
    for _, some in frame.groupby("seed"):
        families, distances = np.unique(some["family"]), distances_of(some, name)
        if distances is not None:
            table = group_wins(distances, some["family"].to_numpy())
            of_seed.append(pd.DataFrame(table, families, families))
    return pd.concat(of_seed).groupby(level=0).mean() if of_seed else None


def agreement(frame: pd.DataFrame, name: str) -> Interval | None:
    """Mantel's correlation with the encoder's cosines over all pairs of texts, first seed."""
    some = frame[frame["seed"] == frame["seed"].min()]
    ours, encoder = distances_of(some, name), distances_of(some, "encoder")
    if name == "encoder" or ours is None or encoder is None:
        return None
    return mantel_interval(ours, encoder, some["family"].to_numpy())


def measured(df: pd.DataFrame) -> pd.DataFrame:
    """By design, kind of variant and vector: `auc` and `mantel`, intervals over families."""
    values = {}
    for kind, title in KINDS.items():
        for (start, *design), some in usable(df, kind).groupby(DESIGN, sort=False):
            for name in VECTORS:
                won = wins(some, name)
                if won is not None and len(won) > 1:
                    auc = closeness if name in TOKENS else closeness_near_one
                    numbers = (auc(won.to_numpy()), agreement(some, name), len(won))
                    values[STARTS[start], *design, title, name] = numbers
    names = [*DESIGN, "original and", "vector"]
    index = pd.MultiIndex.from_tuples(values, names=names) if values else None
    return pd.DataFrame(list(values.values()), index, columns=["auc", "mantel", "families"])
