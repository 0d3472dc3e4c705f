"""How much of a text's meaning a set of vectors holds: three measures, each with its chance.

All look at families, an original and variants that say the same. Vectors are compared by
cosine, and every measure is taken for the fitted tokens and for two references: the bag of
the text's own tokens, which knows words but no meaning, and a sentence encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from reproducer.analysis.clusters import (
    chance_share,
    cosine_distances,
    nearest_others,
    neighbour_share,
    permutation_p,
    silhouettes,
)
from reproducer.analysis.intervals import bootstrap_interval
from reproducer.analysis.matrices import bootstrap_correlations, interval, mantel
from reproducer.results.vectors import TOKENS, stacked

NEIGHBOURS = 3
MEASURES = ("silhouette", "neighbours", "mantel")
REFERENCES = ("bag of tokens", "encoder")
VECTORS = (*TOKENS, *REFERENCES)


def subset(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Originals and their variants of one kind; families with a single text left are dropped."""
    some = frame[frame["kind"].isin(("original", kind))]
    return some[some.groupby("family")["text"].transform("size") >= 2]


def vectors_of(frame: pd.DataFrame, name: str) -> np.ndarray:
    """One of `VECTORS` for each row of a frame with columns e, m, tokens, encoder: (n, d)."""
    if name == "encoder":
        return np.stack(frame["encoder"].to_list())
    if name == "bag of tokens":
        vocabulary = np.unique(np.concatenate(frame["tokens"].to_list()))
        return np.stack([np.isin(vocabulary, tokens) for tokens in frame["tokens"]]).astype(float)
    return stacked(frame, name)


def text_measures(frame: pd.DataFrame, name: str) -> dict[str, Callable]:
    """`silhouette` and `neighbours` as functions of the labels (n,) with one value a text."""
    distances = cosine_distances(vectors_of(frame, name))
    nearest = nearest_others(distances, min(NEIGHBOURS, len(frame) - 1))
    return {
        "silhouette": partial(silhouettes, distances),
        "neighbours": partial(neighbour_share, nearest),
    }


def measures(frame: pd.DataFrame, vectors: tuple[str, ...] = VECTORS) -> pd.DataFrame:
    """A row for each of `vectors`, a column for each of `MEASURES` and its uncertainty.

    `<measure>_low` and `_high` bound 95 % over families, `<measure>_p` is one-sided by
    permutation, `neighbours_chance` is what random neighbours would give.

    Raises:
        ReproducerError: fewer than two families, or a family with one member.
    """
    labels = frame["family"].to_numpy()
    encoder = _cosines(frame, "encoder")
    rows = {}
    for name in vectors:
        row = rows[name] = {"neighbours_chance": chance_share(labels)}
        for measure, values in text_measures(frame, name).items():
            mean, low, high = bootstrap_interval(_by_family(values, labels))
            row |= _columns(measure, mean, low, high, permutation_p(values, labels))
        ours = _cosines(frame, name)
        r, p = mantel(ours, encoder)
        row |= _columns("mantel", r, *interval(bootstrap_correlations(ours, encoder, labels)), p)
    return pd.DataFrame(rows).T.rename_axis("vector")


def differences(frame: pd.DataFrame, one: str = "m", other: str = "e") -> pd.DataFrame:
    """Silhouette and neighbours of vector `one` minus those of `other`, a row a family."""
    labels = frame["family"].to_numpy()
    found = [
        pd.DataFrame({k: _by_family(v, labels) for k, v in text_measures(frame, name).items()})
        for name in (one, other)
    ]
    return found[0] - found[1]


def mantel_differences(frame: pd.DataFrame, one: str = "m", other: str = "e") -> np.ndarray:
    """Correlation with the encoder of `one` minus that of `other`, under paired resampling."""
    labels, encoder = frame["family"].to_numpy(), _cosines(frame, "encoder")
    draws = [
        bootstrap_correlations(_cosines(frame, name), encoder, labels) for name in (one, other)
    ]
    return draws[0] - draws[1]


def _cosines(frame: pd.DataFrame, name: str) -> np.ndarray:
    return 1 - cosine_distances(vectors_of(frame, name))


def _by_family(values: Callable, labels: np.ndarray) -> pd.Series:
    return pd.Series(values(labels)).groupby(labels).mean()


def _columns(measure: str, mean: float, low: float, high: float, p: float) -> dict[str, float]:
    return {measure: mean, f"{measure}_low": low, f"{measure}_high": high, f"{measure}_p": p}
