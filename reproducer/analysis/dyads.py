"""Intervals for comparisons of pairs, whose units are what the pairs are made of.

A pair of texts belongs to the contexts of both, so pairs that share a context err together, and
neither pairs nor contexts can be resampled as if they were independent. Leaving out a context with
all pairs that touch it allows for that: the jackknife over contexts
(`reproducer.analysis.intervals.statistic_interval`) is the delete-a-node jackknife for statistics
of pairs (Snijders & Borgatti 1999). Its variance is never negative and errs on the wide side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reproducer.analysis.intervals import mean_interval, statistic_interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from reproducer.analysis.estimates import Interval


def closer_interval(
    pairs: pd.DataFrame, near: pd.Series, far: pd.Series, at_equal: str | None = None
) -> Interval:
    """The chance that a pair of the nearer group is closer than one of the farther; 0.5 is none.

    The mean over contexts of the chance that a nearer pair within the context has a smaller
    distance than a farther pair that touches it (ties count half). Where the jackknife has no
    interval, because contexts are few or the chance is 0 or 1, the contexts' own chances give one
    by their bounds. Contexts without a nearer pair tell nothing of the difference and are left out.

    Args:
        pairs: with the columns `context_a`, `context_b` and `distance`.
        near, far: masks of its rows; a nearer pair lies within one context.
        at_equal: a column whose linear effect is taken out of the distance first: the least-squares
            slope within both groups.
    """
    names = np.unique(pairs.loc[near, "context_a"])
    inside = pairs["context_a"].isin(names) & pairs["context_b"].isin(names)
    used = (near | far) & inside
    comparison = _Comparison(pairs[used], near[used].to_numpy(bool), names, at_equal)
    interval = statistic_interval(len(names), comparison.chance, bounds=(0, 1))
    if interval.given:
        return interval
    return mean_interval(comparison.chances(np.arange(len(names))), bounds=(0, 1))


def gains(similarity: NDArray) -> NDArray:
    """What each text adds to the similarity of own pairs over that of random ones, (n,).

    From similarities (n, n) of what was written after text i to text j: the diagonal, minus the
    means of its row and of its column off the diagonal, plus the mean of all off the diagonal. The
    mean of the gains is the mean similarity to the own text minus that to others, and their spread
    is what it varies by when texts are drawn anew: a text that everything is like gains nothing.
    """
    n = len(similarity)
    own = similarity.diagonal()
    by_row, by_column = ((similarity.sum(axis) - own) / (n - 1) for axis in (1, 0))
    return own - by_row - by_column + by_row.mean()


def gain_interval(gain: ArrayLike) -> Interval:
    """The mean gain over texts, inside the bounds of a difference of cosines."""
    values = np.asarray(gain, dtype=float)
    return statistic_interval(len(values), lambda i: float(values[i].mean()), bounds=(-2, 2))


class _Comparison:
    """Nearer and farther pairs of contexts numbered 0 … n − 1, compared among any of these."""

    def __init__(
        self, pairs: pd.DataFrame, nearer: NDArray, names: NDArray, at_equal: str | None
    ) -> None:
        self.n = len(names)
        a, b = (np.searchsorted(names, pairs[c]) for c in ("context_a", "context_b"))
        self.distance = pairs["distance"].to_numpy(float)
        self.equal = None if at_equal is None else pairs[at_equal].to_numpy(float)
        self.nearer = [np.flatnonzero(nearer & (a == c)) for c in range(self.n)]
        self.farther = [np.flatnonzero(~nearer & ((a == c) | (b == c))) for c in range(self.n)]
        self.other = [np.where(a == c, b, a)[rows] for c, rows in enumerate(self.farther)]
        self.tables = None if at_equal else self._tables(self.distance)
        # By group and contexts of the pair: how many, and the sums that a slope needs.
        x, y = (np.zeros(len(a)) if self.equal is None else self.equal), self.distance
        self.moments = np.zeros((2, self.n, self.n, 5))
        values = np.column_stack([np.ones(len(a)), x, y, x * x, x * y])
        np.add.at(self.moments, (nearer.astype(int), a, b), values)

    def chance(self, kept: NDArray) -> float:
        """The mean of `chances`; NaN if there is none."""
        chances = self.chances(kept)
        return float(chances.mean()) if len(chances) else float("nan")

    def chances(self, kept: NDArray) -> NDArray:
        """The chance in each of the `kept` contexts, of pairs that touch no other context."""
        tables = self.tables
        if tables is None:
            tables = self._tables(self.distance - self._slope(kept) * self.equal)
        won, compared = (table[np.ix_(kept, kept)].sum(1) for table in tables)
        return won[compared > 0] / compared[compared > 0]

    def _tables(self, distance: NDArray) -> tuple[NDArray, NDArray]:
        """Of the comparisons of nearer pairs of c with farther ones of c and d: won, all. [c, d]"""
        won, compared = np.zeros((2, self.n, self.n))
        for c, (near, far, other) in enumerate(
            zip(self.nearer, self.farther, self.other, strict=True)
        ):
            inside = np.sort(distance[near])
            below, up_to = (np.searchsorted(inside, distance[far], s) for s in ("left", "right"))
            won[c] = np.bincount(other, (below + up_to) / 2, minlength=self.n)
            compared[c] = np.bincount(other, minlength=self.n) * len(inside)
        return won, compared

    def _slope(self, kept: NDArray) -> float:
        """Least-squares slope of the distance on what is held equal, within groups; 0 if flat."""
        sums = self.moments[:, kept][:, :, kept].sum((1, 2))
        n, x, y, xx, xy = sums[sums[:, 0] > 0].T
        spread = (xx - x * x / n).sum()
        return float((xy - x * y / n).sum() / spread) if spread > 1e-12 else 0.0
