"""Power: the closed form against simulation, and what it must not depend on."""

import numpy as np
import pytest
from scipy import stats

from reproducer.analysis.intervals import (
    mean_interval,
    ratio_interval,
    share_interval,
    statistic_interval,
)
from reproducer.analysis.power import POWER, smallest_effect

DRAW = np.random.default_rng(0)
NORMAL, SKEWED = DRAW.normal(0.3, 0.5, 40), DRAW.exponential(size=40)
BOUNDED = np.tanh(NORMAL)
PAIRS = DRAW.gamma(4, size=(2, 40))
CASES = {
    "normal": (lambda i: mean_interval(NORMAL[i]), 0.1),
    "skewed": (lambda i: mean_interval(SKEWED[i]), 0.1),
    "bounded": (lambda i: mean_interval(BOUNDED[i], bounds=(-1, 1)), 0.1),
    "ratio": (lambda i: ratio_interval(*PAIRS[:, i]), 1.2),
}


def simulated_smallest_effect(truth, made, boundary, above):
    """`smallest_effect` by simulation, for intervals that move with the data.

    `made` are intervals of samples from data whose estimate, that of `truth`, is true. Where a
    shift of the data on the interval's scale shifts the interval by as much, an effect is shown in
    those samples whose arm is shorter than the effect's distance from the boundary: the answer is
    the 0.8-quantile of the arms. Samples without an interval show nothing.
    """
    to, back = truth.scale.to, truth.scale.back
    centre = to(truth.estimate)
    arms = [
        (centre - to(i.low) if above else to(i.high) - centre) if i.given else np.inf for i in made
    ]
    reach = float(np.quantile(arms, POWER, method="inverted_cdf"))
    return back(to(boundary) + reach) if above else back(to(boundary) - reach)


@pytest.mark.parametrize("n", [24, 40, 100])
@pytest.mark.parametrize("name", CASES)
def test_closed_form_agrees_with_simulation(name, n):
    interval_of, boundary = CASES[name]
    interval = interval_of(np.arange(40))
    draw = np.random.default_rng(0)
    made = [interval_of(draw.integers(40, size=n)) for _ in range(400)]
    to = interval.scale.to
    for above in (True, False):
        quick = smallest_effect(interval, boundary, above=above, n=n)
        slow = simulated_smallest_effect(interval, made, boundary, above)
        assert to(quick) - to(boundary) == pytest.approx(to(slow) - to(boundary), rel=0.2)
        assert (quick > boundary) == above


def test_an_effect_of_that_size_is_shown_in_four_samples_of_five():
    """The promise itself, with normal data whose spread is that of the sample."""
    interval = mean_interval(NORMAL)
    effect = smallest_effect(interval, 0.1)
    draw = np.random.default_rng(1)
    samples = draw.normal(effect, NORMAL.std(ddof=1), (1000, 40))
    shown = np.mean([mean_interval(sample).low >= 0.1 for sample in samples])
    assert shown == pytest.approx(POWER, abs=0.04)


@pytest.mark.parametrize(("boundary", "n"), [(0.5, 20), (0.1, 32), (0.8, 64)])
def test_a_share_is_exact(boundary, n):
    interval = share_interval(n // 2, n)
    effect = smallest_effect(interval, boundary)
    shown = [k for k in range(n + 1) if share_interval(k, n).low >= boundary]
    assert stats.binom.pmf(shown, n, effect).sum() == pytest.approx(POWER)
    below = smallest_effect(interval, 1 - boundary, above=False)
    assert below == pytest.approx(1 - effect)


def test_too_few_trials_can_show_nothing():
    assert smallest_effect(share_interval(3, 4), 0.5) == np.inf
    assert np.isnan(smallest_effect(mean_interval([1.0, 2.0]), 0.1))
    assert np.isnan(smallest_effect(mean_interval(NORMAL), 0.1, n=3))


def test_more_units_show_less():
    at = [smallest_effect(mean_interval(NORMAL), 0.1, n=n) for n in (16, 40, 160, 640)]
    assert at == sorted(at, reverse=True)
    sure = mean_interval(np.ones(16), bounds=(0, 1))
    assert smallest_effect(sure, 0.5, n=64) < smallest_effect(sure, 0.5)


def test_a_statistic_is_seen_on_its_own_scale():
    z = np.stack([NORMAL, NORMAL + DRAW.normal(size=40)])
    interval = statistic_interval(40, lambda i: np.corrcoef(z[:, i])[0, 1], bounds=(-1, 1))
    effect = smallest_effect(interval, 0.8)
    assert 0.8 < effect < 1
    assert 0.8 < smallest_effect(interval, 0.8, n=160) < effect
