"""Do two sets of cosines between the same texts agree? Mantel's test and an interval.

The statistic is Pearson's correlation over all pairs of texts. Pairs share texts, so its
p-value comes from shuffling the texts of one matrix (Mantel 1967), and its interval from
drawing whole clusters of texts with replacement.
"""

from __future__ import annotations

import numpy as np

from reproducer.errors import ReproducerError

PERMUTATIONS = 999
RESAMPLES = 1000


def pair_correlation(a: np.ndarray, b: np.ndarray, pairs: np.ndarray | None = None) -> float:
    """Correlation of two symmetric matrices (n, n) over their pairs i ≠ j.

    `pairs` (n, n) bool, symmetric, restricts them. NaN if one side is constant.
    """
    mask = _mask(a, b, pairs)
    return float(_weighted(a, b, mask, np.ones((1, len(a))))[0])


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


def bootstrap_correlations(
    a: np.ndarray,
    b: np.ndarray,
    clusters: np.ndarray,
    pairs: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Correlations under resampling of clusters, (RESAMPLES,).

    A text counts as often as its cluster was drawn and a pair as the product of its two
    counts; a text is never paired with itself. Equal `clusters` and `seed` give equal
    draws, so the difference of two calls is a paired one.
    """
    mask = _mask(a, b, pairs)
    names, number = np.unique(clusters, return_inverse=True)
    draw = np.random.default_rng(seed)
    counts = draw.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return _weighted(a, b, mask, counts[:, number].astype(float))


def interval(draws: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval, leaving out draws that gave no number."""
    kept = draws[np.isfinite(draws)]
    if not len(kept):
        return float("nan"), float("nan")
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(low), float(high)


def _mask(a: np.ndarray, b: np.ndarray, pairs: np.ndarray | None) -> np.ndarray:
    if a.shape != b.shape or a.shape[0] != a.shape[1] or len(a) < 3:
        raise ReproducerError(
            f"expected two square matrices over the same 3 or more texts, got {a.shape} "
            f"and {b.shape}"
        )
    mask = ~np.eye(len(a), dtype=bool)
    return mask if pairs is None else mask & pairs


def _weighted(a: np.ndarray, b: np.ndarray, mask: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlations with pair weights w_i w_j, for weights (r, n) → (r,)."""

    def total(matrix: np.ndarray) -> np.ndarray:
        return ((weights @ np.where(mask, matrix, 0.0)) * weights).sum(1)

    with np.errstate(invalid="ignore", divide="ignore"):
        size = total(np.ones_like(a, dtype=float))
        mean_a, mean_b = total(a) / size, total(b) / size
        covariance = total(a * b) / size - mean_a * mean_b
        variances = (total(a * a) / size - mean_a**2) * (total(b * b) / size - mean_b**2)
        return covariance / np.sqrt(np.where(variances > 1e-20, variances, np.nan))


def _standard(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    return centred / length if length > 0 else centred
