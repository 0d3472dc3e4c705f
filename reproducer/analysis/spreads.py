"""How far several means lie apart, with an interval."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from reproducer.analysis.estimates import Bounds, Interval, interval_from, no_interval
from reproducer.analysis.intervals import mean_interval


def spread_interval(values: NDArray) -> Interval:
    """The largest minus the smallest of k means over the same n units, for values (n, k).

    The largest of several means is no smooth statistic, and lies above the true one by chance. So
    the interval is put together from those of all k (k − 1) / 2 paired differences, each at its
    Bonferroni share of the level, which hold all at once: the spread is at least the largest
    difference that they show, and at most the largest that they allow.
    """
    n, k = values.shape
    means = values.mean(0) if n else np.full(k, np.nan)
    pairs = [mean_interval(values[:, i] - values[:, j]) for i, j in combinations(range(k), 2)]
    if k < 2:
        return no_interval(float("nan"), n, "two or more means")
    spread = float(np.ptp(means))
    lacking = next((pair for pair in pairs if not pair.given), None)
    if lacking:
        return no_interval(spread, n, lacking.needs)

    def ends(alpha: float) -> Bounds:
        each = [pair.ends(alpha / len(pairs)) for pair in pairs]
        shown = max(max(low, -high, 0.0) for low, high in each)
        return shown, max(max(-low, high) for low, high in each)

    widest = max(pairs, key=lambda pair: abs(pair.estimate))
    return interval_from(spread, n, "all paired differences at once", ends, widest.error)
