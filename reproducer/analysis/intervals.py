"""95 % intervals whose coverage is simulated, for every number that a claim is judged by.

Each function names what it resamples: the *unit* (a text, a context, a group, a vocabulary) whose
values are independent of those of the others. `benchmarks/coverage.csv` holds the simulated
coverage of each method at each number of units; where none reaches it, the ends are NaN, `needs`
says why, and no verdict follows.

| data | method | from |
|---|---|---|
| successes of n trials | Clopper and Pearson 1934, exact | 1 unit |
| means of bounded values | Gaffke 2005; Clopper–Pearson where the values are 0 and 1 | 1 unit |
| means of other values | Student's t, widened by the studentized bootstrap | 8 units |
| ratios of two means | the same, on the logarithm | 8 units |
| correlations, AUCs, … | delete-one jackknife, Student's t on the logit | 12 units |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reproducer.analysis.estimates import (
    CLOPPER_PEARSON,
    LOG,
    Bounds,
    Interval,
    Scale,
    interval_from,
    logit_between,
    no_interval,
    opened,
    student,
    studentized,
)
from reproducer.errors import ReproducerError

RESAMPLES = 2000
SIMPLEX_DRAWS = 10_000
MIN_UNITS = {"mean": 8, "ratio": 8, "statistic": 12}
MAX_TIED = 0.5  # a mean of values more of which are equal needs their bounds


def mean_interval(
    values: ArrayLike, units: ArrayLike | None = None, *, bounds: Bounds | None = None
) -> Interval:
    """The mean over units of the mean of each unit's values.

    Without `bounds`: mean ± c · s / √n, where c is on either side the larger of Student's t and
    of the studentized bootstrap (Efron & Tibshirani 1993, §12.5), whose t is infinite in a
    resample of equal values. Skewness needs the second and heavy tails the first.

    With `bounds`: quantiles of Σ_i D_i x_i with D uniform on the simplex over the n values and
    one more, which sits at the lower bound for the lower end and at the upper bound for the
    upper (Gaffke 2005; Learned-Miller & Thomas 2019, arXiv 1905.06208). It never collapses: n
    perfect accuracies leave the mean above 0.025^(1/n), as of n successes. Accuracies, shares
    and their differences need it, because a failure too rare to be in the sample moves their mean.

    Args:
        values: finite numbers. `units`: the unit of each; None takes each value as a unit.
        bounds: the least and the greatest possible value, as (0, 1) or, for a difference of
            accuracies, (−1, 1).

    Raises:
        ReproducerError: values that are not finite, outside `bounds`, or not one for each unit.
    """
    sample = np.sort(_unit_means(values, units))
    if bounds is not None:
        return _bounded(sample, bounds)
    n = len(sample)
    estimate = _mean(sample)
    if n < MIN_UNITS["mean"]:
        return no_interval(estimate, n, f"{MIN_UNITS['mean']} or more units")
    if np.unique(sample, return_counts=True)[1].max() > MAX_TIED * n:
        return no_interval(estimate, n, "units of which at most half have the same value")
    centred = sample - estimate
    counts = _counts(n, 0)
    means = counts @ centred / n
    errors = _root(counts @ centred**2 / n - means**2, centred.var()) / np.sqrt(n - 1)
    error = float(centred.std(ddof=1) / np.sqrt(n))
    return studentized(
        estimate,
        error,
        means,
        errors,
        n,
        "studentized bootstrap",
        resized=lambda size: mean_interval(_of_size(sample, size)),
    )


def share_interval(successes: int, n: int) -> Interval:
    """The share of `n` independent units that succeed (Clopper & Pearson 1934).

    Raises:
        ReproducerError: not 0 ≤ successes ≤ n.
    """
    from scipy.special import betaincinv

    if not 0 <= successes <= n:
        raise ReproducerError(f"expected 0 ≤ successes ≤ n, got {successes} of {n}")
    if n == 0:
        return no_interval(float("nan"), 0, "1 or more units")

    def ends(alpha: float) -> Bounds:
        low = betaincinv(successes, n - successes + 1, alpha / 2) if successes else 0.0
        high = betaincinv(successes + 1, n - successes, 1 - alpha / 2) if successes < n else 1.0
        return float(low), float(high)

    def resized(size: int) -> Interval:
        return share_interval(round(successes * size / n), size)

    share = successes / n
    error = (share * (1 - share) / n) ** 0.5
    return interval_from(share, n, CLOPPER_PEARSON, ends, error, resized=resized)


def ratio_interval(
    above: ArrayLike,
    below: ArrayLike,
    units: ArrayLike | None = None,
    *,
    paired: bool = True,
    censored_above: bool = False,
    censored_below: bool = False,
) -> Interval:
    """`mean(above) / mean(below)`, of values that are not negative.

    The interval is that of `mean_interval`, on the logarithm of the ratio, with the standard
    error of the delta method: of a / mean(a) − b / mean(b) where the samples are paired, and of
    the root of the sum of squares of the two where not. Resamples without a logarithm (a mean
    of 0) count as infinitely far on either side; none is dropped.

    A text that never arrived is *censored*: give its budget in place of its number of steps, and
    say on which side. The ratio is then a bound. With `censored_above` the truth is at least as
    large as it seems, so that the upper end is infinite; with `censored_below` the lower end is 0.

    Args:
        above, below: finite numbers ≥ 0. `paired`: entry i of both is the same unit's, or the
            same measurement of `units[i]`; otherwise `n` is the smaller sample's size.

    Raises:
        ReproducerError: negative or infinite values; paired samples of unequal size.
    """
    if units is not None and not paired:
        raise ReproducerError("expected unit means in samples that are not paired, got units")
    a, b = _unit_means(above, units), _unit_means(below, units)
    if min(a.min(initial=0), b.min(initial=0)) < 0:
        raise ReproducerError("expected values of at least 0 for a ratio of means, got negative")
    if paired and len(a) != len(b):
        raise ReproducerError(f"expected two equally large samples, got {len(a)} and {len(b)}")
    n = min(len(a), len(b))
    estimate = float(_divide(_mean(a), _mean(b)))
    if n < MIN_UNITS["ratio"]:
        return no_interval(estimate, n, f"{MIN_UNITS['ratio']} or more units")
    order = np.lexsort((a, b)) if paired else slice(None)
    a, b = (a[order], b[order]) if paired else (np.sort(a), np.sort(b))
    picks_a = _counts(len(a), 0)
    picks_b = picks_a if paired else _counts(len(b), 1)
    log, error = _log_ratio(a, b, np.ones((1, len(a))), np.ones((1, len(b))), paired)
    if not (np.isfinite(log[0]) and error[0] > 1e-9):
        return no_interval(estimate, n, "means above 0, and units that do not all agree")
    logs, errors = _log_ratio(a, b, picks_a, picks_b, paired)
    method = f"{'paired ' if paired else ''}log ratio, studentized bootstrap"
    made = studentized(float(log[0]), float(error[0]), logs - log[0], errors, n, method, LOG)
    return opened(made, 0.0 if censored_below else None, np.inf if censored_above else None)


def statistic_interval(
    n_units: int, statistic: Callable[[NDArray], float], *, bounds: Bounds | None = None
) -> Interval:
    """A smooth statistic of a set of units: a correlation, AUC, silhouette, Mantel correlation.

    Delete-one jackknife (Efron & Tibshirani 1993, §11) with Student's t of n − 1 degrees, on
    the logit of the statistic's place between its `bounds` (for a correlation that is Fisher's z):

        se² = n / (n − 2) · (n − 1) / n · Σ_i (θ_(i) − mean θ_(·))²

    The first factor is ours: without it, correlations over pairs and differences of correlations
    cover 0.92 to 0.93 in simulation. Without its `bounds` a correlation covers 0.9.

    Unlike a bootstrap it never draws a unit twice, which would compare a text with itself. It is
    no interval for a median or a maximum. The difference of two independent samples is a statistic
    of their pooled units. A statistic that stands at its bound, as an AUC of 1, has no spread to
    read and gets no interval: take the mean over units of what each contributes, with its bounds.

    Args:
        statistic: of an array of unit numbers 0 … n_units − 1, each at most once.
        bounds: where the statistic has any; (−1, 1) for a correlation, (0, 1) for an AUC,
            (−2, 2) for the difference of two correlations.

    Raises:
        ReproducerError: a statistic outside `bounds`.
    """
    everyone = np.arange(n_units)
    n = n_units
    estimate = float(statistic(everyone)) if n else float("nan")
    if n < MIN_UNITS["statistic"]:
        return no_interval(estimate, n, f"{MIN_UNITS['statistic']} or more units")
    left_out = np.array([statistic(np.delete(everyone, i)) for i in everyone], dtype=float)
    if not (np.isfinite(estimate) and np.isfinite(left_out).all()):
        return no_interval(estimate, n, "units of which any one can be left out")
    scale = Scale() if bounds is None else logit_between(*bounds)
    if bounds is not None:
        _require_inside(np.append(left_out, estimate), bounds)
    if np.ptp(left_out) < 1e-12 or estimate in (bounds or ()):
        return no_interval(estimate, n, "units that do not all agree")
    moved = np.array([scale.to(value) for value in left_out])
    error = float(np.sqrt(n / (n - 2) * (n - 1) * moved.var()))
    centre = scale.to(estimate)

    def ends(alpha: float) -> Bounds:
        half = student(alpha, n) * error
        return scale.back(centre - half), scale.back(centre + half)

    return interval_from(estimate, n, "jackknife", ends, error, scale)


def _bounded(sample: NDArray, bounds: Bounds) -> Interval:
    n = len(sample)
    if n == 0:
        return no_interval(float("nan"), 0, "1 or more units")
    _require_inside(sample, bounds)
    weights = _simplex(n)
    # As distances from the bound, so that values at the bound leave the end exactly there.
    low_means = bounds[0] + np.sort(weights @ (sample - bounds[0]))
    high_means = bounds[1] - np.sort(weights @ (bounds[1] - sample))[::-1]

    def ends(alpha: float) -> Bounds:
        # Where the draws are too few to tell, nothing is excluded.
        place = int(alpha / 2 * len(weights)) - 1
        if place < 0:
            return bounds
        return float(low_means[place]), float(high_means[-1 - place])

    return interval_from(
        _mean(sample),
        n,
        f"Gaffke, values in {bounds[0]:g} … {bounds[1]:g}",
        ends,
        float(sample.std() / np.sqrt(n)),
        resized=lambda size: _bounded(_of_size(sample, size), bounds),
    )


def _of_size(sample: NDArray, n: int) -> NDArray:
    """The `n` evenly spaced quantiles of a sample: another size, the same spread."""
    return np.quantile(sample, (np.arange(n) + 0.5) / n)


def _unit_means(values: ArrayLike, units: ArrayLike | None) -> NDArray:
    flat = np.asarray(values, dtype=float).ravel()
    if not np.isfinite(flat).all():
        raise ReproducerError(
            f"expected finite numbers, got {np.sum(~np.isfinite(flat))} others among {len(flat)}; "
            "give a text that never arrives its budget"
        )
    if units is None:
        return flat
    labels = np.asarray(units).ravel()
    if len(labels) != len(flat):
        raise ReproducerError(f"expected a unit for each of {len(flat)} values, got {len(labels)}")
    number = np.unique(labels, return_inverse=True)[1]
    return np.bincount(number, flat) / np.bincount(number)


def _require_inside(values: NDArray, bounds: Bounds) -> None:
    least, most = bounds
    if values.min() < least - 1e-9 or values.max() > most + 1e-9:
        raise ReproducerError(
            f"expected values between {least:g} and {most:g}, got {values.min():g} … "
            f"{values.max():g}"
        )


def _mean(values: NDArray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _divide(above: ArrayLike, below: ArrayLike) -> NDArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.true_divide(above, below)


def _root(variance: NDArray, typical: float) -> NDArray:
    """The root of a variance, 0 where only rounding is left of it."""
    return np.sqrt(np.where(variance > 1e-12 * typical, variance, 0.0))


def _log_ratio(
    a: NDArray, b: NDArray, picks_a: NDArray, picks_b: NDArray, paired: bool
) -> tuple[NDArray, NDArray]:
    """Log ratio of means and its standard error in each resample; picks (r, n) are counts."""
    n_a, n_b = len(a), len(b)
    mean_a, mean_b = picks_a @ a / n_a, picks_b @ b / n_b
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(mean_a) - np.log(mean_b)
        part_a = picks_a @ a**2 / n_a / mean_a**2 - 1
        part_b = picks_b @ b**2 / n_b / mean_b**2 - 1
        if paired:
            both = picks_a @ (a * b) / n_a / (mean_a * mean_b) - 1
            variance = (part_a + part_b - 2 * both) / (n_a - 1)
        else:
            variance = part_a / (n_a - 1) + part_b / (n_b - 1)
    return logs, _root(variance, 1.0)


@lru_cache(maxsize=8)
def _counts(n: int, seed: int) -> NDArray:
    """How often each of n units is drawn in each resample, (RESAMPLES, n)."""
    draw = np.random.default_rng(seed)
    return draw.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)


@lru_cache(maxsize=8)
def _simplex(n: int) -> NDArray:
    """The first n coordinates of points drawn uniformly from the simplex over n + 1 corners."""
    n_draws = max(SIMPLEX_DRAWS // 5, min(SIMPLEX_DRAWS, 4_000_000 // n))
    parts = np.random.default_rng(0).exponential(size=(n_draws, n + 1))
    return parts[:, 1:] / parts.sum(1, keepdims=True)
