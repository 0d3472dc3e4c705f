"""Criteria with a margin, and what an interval says about one.

A criterion names the smallest effect of interest and is written before the data. "Greater than 0"
is none: where the truth is 0 it can never be refuted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reproducer.errors import ReproducerError

if TYPE_CHECKING:  # scipy comes with it, which the command line can do without
    from reproducer.analysis.estimates import Interval

Outcome = Literal["for", "against", "undecided"]


@dataclass(frozen=True)
class Criterion:
    """The values for which a claim holds: `least` to `most`; `reason` says why this margin.

    Written with `above`, `below` or `within`.

    Raises:
        ReproducerError: no finite boundary, no reason, or a boundary of 0.
    """

    least: float
    most: float
    reason: str

    def __post_init__(self) -> None:
        if not self.least < self.most or not self.boundaries or not self.reason.strip():
            raise ReproducerError(
                f"expected a criterion least < most with its reason, got {self.least} … "
                f"{self.most}, {self.reason!r}"
            )
        if 0 in self.boundaries:
            raise _without_margin(0)

    @property
    def boundaries(self) -> list[float]:
        return [end for end in (self.least, self.most) if math.isfinite(end)]

    def deciding(self, estimate: float) -> list[float]:
        """What an interval around `estimate` must exclude: the boundary it is beyond, or all."""
        if estimate < self.least:
            return [self.least]
        return [self.most] if estimate > self.most else self.boundaries

    def __str__(self) -> str:
        if math.isinf(self.most):
            return f"above {self.least:g} ({self.reason})"
        if math.isinf(self.least):
            return f"below {self.most:g} ({self.reason})"
        return f"between {self.least:g} and {self.most:g} ({self.reason})"


def above(delta: float, reason: str) -> Criterion:
    """The claim holds from `delta` on; an effect below it is too small to be of interest."""
    return Criterion(delta, math.inf, reason)


def below(delta: float, reason: str) -> Criterion:
    """The claim holds up to `delta`."""
    return Criterion(-math.inf, delta, reason)


def within(least: float, most: float, reason: str) -> Criterion:
    """The claim holds between the two: no difference of interest (equivalence)."""
    return Criterion(least, most, reason)


def _without_margin(boundary: float) -> ReproducerError:
    return ReproducerError(
        f"expected a margin, got the boundary {boundary:g}: where the truth is no effect, no "
        "amount of data refutes an effect of any size; name the smallest one of interest, or a band"
    )


def judge(interval: Interval, criterion: Criterion) -> Outcome:
    """`for` if the whole interval meets the criterion, `against` if all of it fails.

    Raises:
        ReproducerError: a boundary at no effect: a ratio of 1, an AUC of 0.5.
    """
    for boundary in criterion.boundaries:
        if interval.scale.to(boundary) == 0:
            raise _without_margin(boundary)
    if criterion.least <= interval.low and interval.high <= criterion.most:
        return "for"
    if interval.high < criterion.least or criterion.most < interval.low:
        return "against"
    return "undecided"


def p_value(interval: Interval, criterion: Criterion) -> float:
    """Two-sided p of the call that the estimate points to; NaN without an interval.

    For an estimate that meets the criterion, that of the boundary harder to exclude; for one that
    fails it, that of the boundary it lies beyond. `judge` decides where this is below 0.05.
    """
    return max(interval.p_value(end) for end in criterion.deciding(interval.estimate))


def smallest_shown(interval: Interval, criterion: Criterion, n: int | None = None) -> float:
    """The smallest true effect that n units (None: as many as there are) would show.

    Above `least`, or below `most`, for a criterion with one boundary; for a band, the nearest value
    beyond its upper end that would refute it.
    """
    from reproducer.analysis.power import smallest_effect

    if math.isinf(criterion.least):
        return smallest_effect(interval, criterion.most, above=False, n=n)
    boundary = criterion.least if math.isinf(criterion.most) else criterion.most
    return smallest_effect(interval, boundary, n=n)


def units_to_decide(interval: Interval, criterion: Criterion) -> float:
    """The units at which the interval, narrower by the root of their number, would decide."""
    to = interval.scale.to
    centre = to(interval.estimate)
    ratios = [1.0]
    for end in criterion.deciding(interval.estimate):
        arm = centre - to(interval.low) if end <= interval.estimate else to(interval.high) - centre
        gap = abs(centre - to(end))
        ratios.append(arm / gap if gap > 0 else math.inf)
    return interval.n * max(ratios) ** 2
