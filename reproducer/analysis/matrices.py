"""Do two sets of cosines between the same texts agree? Mantel's correlation.

The statistic is Pearson's correlation over all pairs of texts (Mantel 1967). Pairs share texts, so
its interval comes from leaving out whole groups of texts. Drawing groups with replacement would
pair a group with its own copy, whose cosines are 1 in both matrices.
"""

from __future__ import annotations

import numpy as np

from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import statistic_interval
from reproducer.errors import ReproducerError


def pair_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two symmetric matrices (n, n) over their pairs i ≠ j.

    NaN if one side is constant.

    Raises:
        ReproducerError: matrices of different shapes, not square, or of fewer than 3 texts.
    """
    if a.shape != b.shape or a.shape[0] != a.shape[1] or len(a) < 3:
        raise ReproducerError(
            f"expected two square matrices over the same 3 or more texts, got {a.shape} "
            f"and {b.shape}"
        )
    above = np.triu_indices(len(a), 1)
    x, y = _standard(a[above]), _standard(b[above])
    return float(x @ y) if x.any() and y.any() else float("nan")


def mantel_interval(a: np.ndarray, b: np.ndarray, groups: np.ndarray) -> Interval:
    """The correlation over all pairs, with the jackknife's interval over groups of texts (n,)."""
    names, number = np.unique(groups, return_inverse=True)

    def correlation(units: np.ndarray) -> float:
        kept = np.isin(number, units)
        inside = np.ix_(kept, kept)
        return pair_correlation(a[inside], b[inside]) if kept.sum() >= 3 else float("nan")

    return statistic_interval(len(names), correlation, bounds=(-1.0, 1.0))


def _standard(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    return centred / length if length > 0 else centred
