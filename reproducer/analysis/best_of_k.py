"""Best of k restarts: how good the best seed is expected to be, from n seeds tried.

With the n accuracies in ascending order x_1 ≤ … ≤ x_n, the mean over all subsets of k seeds of
their maximum is

    E[max] = Σ_i x_i · C(i − 1, k − 1) / C(n, k),

since x_i is the maximum of the C(i − 1, k − 1) subsets that take their other members below it.
This is the unbiased estimate of what k fresh seeds would give (k = n: the sample maximum).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from reproducer.errors import ReproducerError


def expected_best(values: ArrayLike, k: int) -> NDArray[np.float64]:
    """Expected maximum over `k` of the last axis' n values, drawn without replacement.

    Args:
        values: (…, n_seeds).

    Returns:
        (…), in the unit of `values`.

    Raises:
        ReproducerError: `k` outside 1 … n_seeds.
    """
    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)
    n = ordered.shape[-1]
    if not 1 <= k <= n:
        raise ReproducerError(f"expected k between 1 and the {n} seeds tried, got {k}")
    weights = np.zeros(n)
    rank = np.arange(k, n + 1)
    # Through logarithms: the binomials of hundreds of seeds overflow.
    weights[k - 1 :] = np.exp(_log_choose(rank - 1, k - 1) - _log_choose(n, k))
    return ordered @ weights


def best_of_k(values: ArrayLike) -> NDArray[np.float64]:
    """The whole curve: `expected_best` for k = 1 … n_seeds along a new last axis."""
    n = np.asarray(values).shape[-1]
    return np.stack([expected_best(values, k) for k in range(1, n + 1)], axis=-1)


def _log_choose(n: ArrayLike, k: int) -> NDArray[np.float64]:
    return gammaln(np.add(n, 1)) - gammaln(k + 1) - gammaln(np.subtract(n, k) + 1)
