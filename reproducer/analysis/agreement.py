"""Do the cosines between some vectors follow those between others?

The NumPy side of what `reproducer.solver.penalties` measures at every step of a fit, for stored
vectors: no PyTorch, and sets of texts that no fit had together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cosine_matrix(vectors: NDArray) -> NDArray:
    """Cosines between all pairs of vectors: (n, d) → (n, n). A vector of zeros has cosine 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    return unit @ unit.T


def relational_correlation(ours: NDArray, theirs: NDArray, pairs: NDArray | None = None) -> float:
    """Pearson's correlation of the cosines between pairs of `ours` (n, d) and `theirs` (n, k).

    Args:
        pairs: (n, n) bool, symmetric; which pairs count. None: all of two different vectors.

    Returns:
        NaN for fewer than 3 pairs, or where one side's cosines are all equal.
    """
    counted = np.triu(np.ones((len(ours),) * 2, bool) if pairs is None else pairs, 1)
    a, b = cosine_matrix(ours)[counted], cosine_matrix(theirs)[counted]
    if len(a) < 3 or min(np.ptp(a), np.ptp(b)) < 1e-12:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
