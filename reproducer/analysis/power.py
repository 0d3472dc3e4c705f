"""The smallest true effect that a sample of a given size would show."""

from __future__ import annotations

import numpy as np

from reproducer.analysis.estimates import ALPHA, CLOPPER_PEARSON, Interval, student

POWER = 0.8


def smallest_effect(
    interval: Interval, boundary: float, *, above: bool = True, n: int | None = None
) -> float:
    """The true value beyond `boundary` whose interval clears it in 80 of 100 samples of n units.

    With the spread of the data at hand: on the interval's scale,

        boundary ± (arm + z · error),   z = 0.84 for a power of 0.8,

    where arm is how far the interval reaches toward it at n units. An estimate falls short
    of the truth by more than z · error in a fifth of the samples. Exact for a share, whose spread
    follows from its value.

    Args:
        above: whether the effect is to be seen above `boundary`, or below it.
        n: units of a planned sample; None takes the interval's own.

    Returns:
        NaN where there is no interval; ±inf where no effect would do.
    """
    from scipy.special import ndtri

    n = interval.n if n is None else n
    if not interval.given or n < 1:
        return float("nan")
    if interval.method == CLOPPER_PEARSON:
        return _smallest_share(boundary, n) if above else 1 - _smallest_share(1 - boundary, n)
    sized = interval if n == interval.n or interval.resized is None else interval.resized(n)
    if not sized.given:
        return float("nan")
    to, back = interval.scale.to, interval.scale.back
    arm = to(sized.estimate) - to(sized.low) if above else to(sized.high) - to(sized.estimate)
    error = sized.error
    if sized.n != n:
        shrink = (sized.n / n) ** 0.5
        arm *= shrink * student(ALPHA, n) / student(ALPHA, sized.n)
        error *= shrink
    reach = arm + float(ndtri(POWER)) * error
    return back(to(boundary) + reach) if above else back(to(boundary) - reach)


def _smallest_share(boundary: float, n: int) -> float:
    """The share whose Clopper-Pearson interval lies above `boundary` with probability 0.8."""
    from scipy.special import betaincinv

    successes = np.arange(1, n + 1)
    enough = successes[betaincinv(successes, n - successes + 1, ALPHA / 2) >= boundary]
    if not len(enough):
        return float("inf")
    return float(betaincinv(enough[0], n - enough[0] + 1, POWER))
