"""Intervals over texts: the uncertainty that every verdict states."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reproducer.errors import ReproducerError

RESAMPLES = 2000


def bootstrap_interval(
    values: ArrayLike, statistic: Callable = np.mean, *, seed: int = 0
) -> tuple[float, float, float]:
    """A statistic of `values` (one a text) and its 95 % percentile bootstrap interval.

    Returns:
        (estimate, low, high); low = high = estimate for a single value.
    """
    sample = np.asarray(values, dtype=float)
    if sample.size == 0:
        raise ReproducerError("expected at least one value for a bootstrap interval, got none")
    estimate = float(statistic(sample))
    if sample.size == 1 or np.ptp(sample) == 0:
        return estimate, estimate, estimate
    found = stats.bootstrap(
        (sample,),
        statistic,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return estimate, float(found.low), float(found.high)
