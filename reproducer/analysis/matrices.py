"""Do two sets of cosines between the same texts agree? Mantel's test.

The statistic is Pearson's correlation over all pairs of texts. Pairs share texts, so its p-value
comes from shuffling the texts of one matrix (Mantel 1967), and its interval from leaving out whole
groups of texts. Drawing groups with replacement would pair a group with its own copy, whose cosines
are 1 in both matrices.
"""

from __future__ import annotations

import numpy as np

from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import statistic_interval
from reproducer.errors import ReproducerError

PERMUTATIONS = 999


def pair_correlation(a: np.ndarray, b: np.ndarray, pairs: np.ndarray | None = None) -> float:
    """Correlation of two symmetric matrices (n, n) over their pairs i ≠ j.

    `pairs` (n, n) bool, symmetric, restricts them. NaN if one side is constant.
    """
    mask = np.triu(_mask(a, b, pairs))
    x, y = _standard(a[mask]), _standard(b[mask])
    return float(x @ y) if x.any() and y.any() else float("nan")


def mantel(
    a: np.ndarray, b: np.ndarray, n_permutations: int = PERMUTATIONS, seed: int = 0
) -> tuple[float, float]:
    """(correlation, one-sided permutation p) of two symmetric matrices (n, n)."""
    above = np.triu_indices(len(a), 1)
    _mask(a, b, None)
    x, y = _standard(a[above]), _standard(b[above])
    observed = float(x @ y)
    spread = np.zeros_like(a, dtype=float)
    spread[above] = x
    spread += spread.T
    draw = np.random.default_rng(seed)
    as_high = 0
    for _ in range(n_permutations):
        order = draw.permutation(len(a))
        as_high += spread[np.ix_(order, order)][above] @ y >= observed - 1e-12
    return observed, (1 + as_high) / (1 + n_permutations)


def mantel_interval(a: np.ndarray, b: np.ndarray, groups: np.ndarray) -> Interval:
    """The correlation over all pairs, with the jackknife's interval over groups of texts (n,)."""
    names, number = np.unique(groups, return_inverse=True)

    def correlation(units: np.ndarray) -> float:
        kept = np.isin(number, units)
        inside = np.ix_(kept, kept)
        return pair_correlation(a[inside], b[inside]) if kept.sum() >= 3 else float("nan")

    return statistic_interval(len(names), correlation, bounds=(-1.0, 1.0))


def _mask(a: np.ndarray, b: np.ndarray, pairs: np.ndarray | None) -> np.ndarray:
    if a.shape != b.shape or a.shape[0] != a.shape[1] or len(a) < 3:
        raise ReproducerError(
            f"expected two square matrices over the same 3 or more texts, got {a.shape} "
            f"and {b.shape}"
        )
    mask = ~np.eye(len(a), dtype=bool)
    return mask if pairs is None else mask & pairs


def _standard(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    return centred / length if length > 0 else centred
