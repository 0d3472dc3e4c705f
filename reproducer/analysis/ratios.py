"""Ratios of two means, with an interval over texts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reproducer.analysis.intervals import RESAMPLES
from reproducer.errors import ReproducerError


def ratio_of_means(
    above: ArrayLike, below: ArrayLike, *, paired: bool, seed: int = 0
) -> tuple[float, float, float]:
    """`mean(above) / mean(below)` and its 95 % percentile bootstrap interval over texts.

    A mean of ratios would have no value when one text holds nothing; a ratio of means does. It is
    infinite where only the mean below is 0, and NaN where both are.

    Args:
        above, below: one value a text. `paired`: entry i of both is the same text, and texts
            are resampled; otherwise the two samples are resampled apart.

    Raises:
        ReproducerError: an empty sample, or paired samples of unequal size.
    """
    a, b = (np.asarray(v, dtype=float) for v in (above, below))
    if a.size == 0 or b.size == 0 or (paired and a.size != b.size):
        kind = "two equally large samples" if paired else "two samples"
        raise ReproducerError(f"expected {kind} for a ratio, got {a.size} and {b.size} values")
    rng = np.random.default_rng(seed)
    picks_a = rng.integers(a.size, size=(RESAMPLES, a.size))
    picks_b = picks_a if paired else rng.integers(b.size, size=(RESAMPLES, b.size))
    draws = _ratio(a[picks_a].mean(1), b[picks_b].mean(1))
    draws = draws[~np.isnan(draws)]
    # Quantiles that are draws themselves: between two infinite ones nothing can be interpolated.
    ends = np.quantile(draws, [0.025, 0.975], method="inverted_cdf") if draws.size else [np.nan] * 2
    return float(_ratio(a.mean(), b.mean())), float(ends[0]), float(ends[1])


def _ratio(above: NDArray, below: NDArray) -> NDArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.true_divide(above, below)
