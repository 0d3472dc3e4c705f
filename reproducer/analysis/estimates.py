"""An estimate with its interval, on the scale on which the two belong together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05  # of 95 % intervals
CLOPPER_PEARSON = "Clopper-Pearson"
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """The scale on which an interval is as wide above as below: `to` it and `back`."""

    to: Callable[[float], float] = float
    back: Callable[[float], float] = float


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval over `n` units.

    NaN ends: no interval, and `needs` says what would give one. An infinite end: the data do not
    bound that side. `error` is the standard error on `scale`. `ends(alpha)` gives the interval of
    level 1 − alpha, and `resized(n)` that of n units with the spread of these, if it is known.
    """

    estimate: float
    low: float
    high: float
    n: int
    method: str
    needs: str = ""
    error: float = float("nan")
    scale: Scale = field(default=Scale(), repr=False, compare=False)
    ends: Callable[[float], Bounds] | None = field(default=None, repr=False, compare=False)
    resized: Callable[[int], Interval] | None = field(default=None, repr=False, compare=False)

    @property
    def given(self) -> bool:
        """Whether there is an interval to judge by."""
        return not (np.isnan(self.low) or np.isnan(self.high))

    def p_value(self, bound: float) -> float:
        """Two-sided p of "the truth is `bound`": the least alpha whose interval excludes it.

        An interval of level 1 − alpha leaves alpha / 2 on either side, so this is twice the
        smallest one-sided level at which an end passes `bound`. NaN without an interval.
        """
        if self.ends is None:
            return float("nan")
        inside, outside = 0.0, 1.0
        if _within(bound, self.ends(1.0)):
            return 1.0
        for _ in range(40):
            alpha = (inside + outside) / 2
            if _within(bound, self.ends(alpha)):
                inside = alpha
            else:
                outside = alpha
        return outside


def interval_from(
    estimate: float,
    n: int,
    method: str,
    ends: Callable[[float], Bounds],
    error: float,
    scale: Scale = Scale(),
    resized: Callable[[int], Interval] | None = None,
) -> Interval:
    """The interval whose ends at each level are `ends(alpha)`."""
    low, high = ends(ALPHA)
    return Interval(
        estimate, low, high, n, method, "", error, scale=scale, ends=ends, resized=resized
    )


def no_interval(estimate: float, n: int, needs: str) -> Interval:
    """An estimate from data that allow no interval, and what would."""
    return Interval(estimate, float("nan"), float("nan"), n, "none", needs)


def studentized(
    estimate: float,
    error: float,
    shifts: NDArray,
    errors: NDArray,
    n: int,
    method: str,
    scale: Scale = Scale(),
    resized: Callable[[int], Interval] | None = None,
) -> Interval:
    """The interval from resamples, by Student's t where that is wider.

    Args:
        estimate, error: on `scale`. `shifts`, `errors`: how far each resample's estimate lies
            from `estimate`, and its standard error; a pair that gives no t (an error of 0, a shift
            that is not a number) counts as infinite on both sides.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = shifts / errors
    t = np.where(errors > 0, t, np.nan)
    rising = np.sort(np.where(np.isfinite(t), t, np.inf))
    falling = np.sort(np.where(np.isfinite(t), -t, np.inf))

    def ends(alpha: float) -> Bounds:
        # The draw of which no more than alpha / 2 of the draws lie above.
        place = min(len(t) - 1, int(np.ceil((1 - alpha / 2) * len(t))))
        least = student(alpha, n)
        up, down = max(least, rising[place]), max(least, falling[place])
        return scale.back(estimate - up * error), scale.back(estimate + down * error)

    return interval_from(scale.back(estimate), n, method, ends, error, scale, resized)


def opened(interval: Interval, low: float | None, high: float | None) -> Interval:
    """The interval with the ends that are given in place of its own, at every level."""

    def ends(alpha: float) -> Bounds:
        own = interval.ends(alpha)
        return own[0] if low is None else low, own[1] if high is None else high

    least, most = ends(ALPHA)
    return replace(interval, low=least, high=most, ends=ends)


def student(alpha: float, n: int) -> float:
    """Student's t that is exceeded, in absolute value, with probability alpha at n units."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 1 - alpha / 2))


def logit_between(least: float, most: float) -> Scale:
    """The logit of a value's place between its bounds; for (−1, 1), twice Fisher's z."""
    span = most - least
    tiny = 1e-12

    def to(value: float) -> float:
        place = min(max((value - least) / span, tiny), 1 - tiny)
        return float(np.log(place / (1 - place)))

    return Scale(to, lambda x: float(least + span / (1 + np.exp(-min(max(x, -700.0), 700.0)))))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


LOG = Scale(_log, _exp)


def _within(value: float, ends: Bounds) -> bool:
    return ends[0] <= value <= ends[1]
