"""How a set of vectors clusters: the AUC "same group closer", t-SNE maps.

Distances are cosine distances. What takes a distance matrix and labels gives one value a pair of
groups, so that intervals can be taken over groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reproducer.analysis.intervals import mean_interval, statistic_interval
from reproducer.errors import ReproducerError

if TYPE_CHECKING:
    from reproducer.analysis.estimates import Interval


DIGITS = 9  # to which distances are compared


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows (n, d) scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def cosine_distances(vectors: np.ndarray) -> np.ndarray:
    """`1 − cos` between all rows: (n, d) → (n, n), float64, zero on the diagonal."""
    rows = unit(np.asarray(vectors, dtype=float))
    distances = np.clip(1 - rows @ rows.T, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def require_classes(labels: np.ndarray) -> None:
    """Raise unless there are two or more classes, each with two or more members."""
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise ReproducerError(f"expected two or more classes, got {len(names)}")
    if counts.min() < 2:
        single = names[counts.argmin()]
        raise ReproducerError(
            f"expected two or more members in every class, got one in {str(single)!r}"
        )


def group_wins(distances: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How often a text is closer to its own group than to another one, (n_groups, n_groups).

    Entry (f, g): over a text of group f, another text of f and a text of g, the share of triples
    in which the first is closer to the second than to the third; ties count half. NaN for f = g,
    and in the row of a group of one. The order of groups is that of `np.unique`. Distances that
    differ in their rounding alone are ties, as which way they differ depends on the machine.
    """
    distances = np.round(distances, DIGITS)
    names, number = np.unique(groups, return_inverse=True)
    wins = np.full((len(names), len(names)), np.nan)
    for f in range(len(names)):
        own = np.flatnonzero(number == f)
        if len(own) < 2:
            continue
        apart = ~np.eye(len(own), dtype=bool)
        near = distances[np.ix_(own, own)][apart].reshape(len(own), -1, 1)
        far = distances[own][:, None]  # (n_f, 1, n)
        won = ((near < far) + 0.5 * (near == far)).mean((0, 1))  # of each other text, (n,)
        wins[f] = np.bincount(number, won) / np.bincount(number)
    np.fill_diagonal(wins, np.nan)
    return wins


def mean_win(wins: np.ndarray) -> float:
    """The AUC "same group closer" of `group_wins`: its mean over pairs of groups; chance is 0.5.

    NaN where there are none.
    """
    known = wins[~np.isnan(wins)]
    return float(known.mean()) if len(known) else float("nan")


def closeness(wins: np.ndarray, other: np.ndarray | None = None) -> Interval:
    """The AUC of `group_wins` over groups, or that minus the AUC of `other`, of the same groups.

    A jackknife: without a group, it is neither asked about nor compared with.
    """
    values = wins if other is None else wins - other
    bounds = (0.0, 1.0) if other is None else (-1.0, 1.0)
    return statistic_interval(
        len(values), lambda kept: mean_win(values[np.ix_(kept, kept)]), bounds=bounds
    )


def closeness_near_one(wins: np.ndarray) -> Interval:
    """The AUC of `group_wins` as the mean of the groups' own shares, which lie between 0 and 1.

    Wider than `closeness`, but an interval also where nearly all comparisons are won, and the
    jackknife has no spread to read.
    """
    asked = ~np.isnan(wins).all(1)
    return mean_interval(np.nanmean(wins[asked], axis=1), bounds=(0, 1))


def tsne_map(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """A t-SNE map (n, 2) by cosine distance; perplexity 30, less for few vectors."""
    # Imported late: it takes a second.
    from sklearn.manifold import TSNE

    n = len(vectors)
    if n < 4:
        raise ReproducerError(f"expected 4 or more vectors to map, got {n}")
    tsne = TSNE(
        metric="precomputed",
        init="random",
        perplexity=min(30.0, (n - 1) / 3),
        random_state=seed,
    )
    return tsne.fit_transform(cosine_distances(vectors))
