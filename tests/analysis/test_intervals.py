"""Intervals: against textbooks' own, invariants, degenerate samples, p-values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import (
    MIN_UNITS,
    mean_interval,
    ratio_interval,
    share_interval,
    statistic_interval,
)
from reproducer.errors import ReproducerError

DRAW = np.random.default_rng(0)
NORMAL = DRAW.normal(1.0, 2.0, 40)
POSITIVE = DRAW.gamma(3.0, size=(2, 40))


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def correlation(i):
    return np.corrcoef(POSITIVE[:, i])[0, 1]


EVERY = {
    "mean": mean_interval(NORMAL),
    "bounded": mean_interval(np.tanh(NORMAL), bounds=(-1, 1)),
    "share": share_interval(17, 20),
    "ratio": ratio_interval(*POSITIVE),
    "unpaired": ratio_interval(*POSITIVE, paired=False),
    "statistic": statistic_interval(40, correlation, bounds=(-1, 1)),
}


@pytest.mark.parametrize("interval", EVERY.values(), ids=EVERY)
def test_estimate_lies_inside_and_the_ends_have_a_p_of_005(interval):
    assert interval.low < interval.estimate < interval.high
    for end in ends(interval):
        assert interval.p_value(end) == pytest.approx(0.05, abs=2e-3)
    beyond = interval.high + (interval.high - interval.low) / 2
    assert interval.p_value(beyond) < 0.05 < interval.p_value(interval.estimate)


@pytest.mark.parametrize("interval", EVERY.values(), ids=EVERY)
def test_p_falls_away_from_the_estimate(interval):
    bounds = np.linspace(interval.estimate, interval.high + 0.1, 12)
    p = [interval.p_value(bound) for bound in bounds]
    assert p == sorted(p, reverse=True)


def test_mean_is_never_narrower_than_students_t():
    for n in (8, 16, 64):
        sample = np.random.default_rng(n).exponential(size=n)
        low, high = stats.t.interval(0.95, n - 1, sample.mean(), stats.sem(sample))
        found = mean_interval(sample)
        assert found.low <= low and found.high >= high
        assert found.p_value(0.7) >= stats.ttest_1samp(sample, 0.7).pvalue - 1e-9


def test_studentized_ends_are_those_of_a_bootstrap_by_hand():
    sample = np.random.default_rng(3).exponential(size=20)
    draw, t = np.random.default_rng(9), []
    for _ in range(20_000):
        again = draw.choice(sample, 20)
        t.append((again.mean() - sample.mean()) / stats.sem(again))
    least = stats.t.ppf(0.975, 19)
    up, down = max(least, np.quantile(t, 0.975)), max(least, -np.quantile(t, 0.025))
    expected = sample.mean() - up * stats.sem(sample), sample.mean() + down * stats.sem(sample)
    assert ends(mean_interval(sample)) == pytest.approx(expected, abs=0.08)
    assert down > least + 0.1  # this sample is skewed enough for the bootstrap to matter


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (7, 9), (32, 32), (0, 12)])
def test_share_is_that_of_statsmodels_and_its_p_that_of_the_binomial_tails(successes, n):
    found = share_interval(successes, n)
    assert ends(found) == pytest.approx(proportion_confint(successes, n, method="beta"))
    for p0 in (0.2, 0.5, 0.85):
        tails = stats.binom.cdf(successes, n, p0), stats.binom.sf(successes - 1, n, p0)
        assert found.p_value(p0) == pytest.approx(min(1.0, 2 * min(tails)), abs=1e-6)


@pytest.mark.parametrize(("ones", "n"), [(5, 5), (9, 12), (30, 32), (1, 16)])
def test_bounded_mean_of_zeros_and_ones_is_clopper_pearsons(ones, n):
    values = np.repeat([1.0, 0.0], [ones, n - ones])
    found, exact = mean_interval(values, bounds=(0, 1)), share_interval(ones, n)
    assert ends(found) == pytest.approx(ends(exact), abs=0.01)


def test_bounded_mean_is_the_quantile_of_means_under_random_weights():
    values = np.array([0.2, 0.5, 0.5, 0.9])
    weights = np.random.default_rng(4).dirichlet(np.ones(5), 40_000)
    low = np.quantile(weights @ np.append(values, -1.0), 0.025)
    high = np.quantile(weights @ np.append(values, 1.0), 0.975)
    assert ends(mean_interval(values, bounds=(-1, 1))) == pytest.approx((low, high), abs=0.02)


def test_zero_spread_is_never_certainty():
    bounded = mean_interval(np.ones(16), bounds=(0, 1))
    assert bounded.high == 1.0
    assert bounded.low == pytest.approx(0.025 ** (1 / 16), abs=0.01)
    for without in (mean_interval(np.ones(16)), ratio_interval([2.0] * 16, [1.0] * 16)):
        assert not without.given and without.needs and np.isnan(without.p_value(0.5))
    separated = np.arange(16.0)
    auc = statistic_interval(
        16, lambda i: float(separated[i][i < 8].max() < separated[i][i >= 8].min()), bounds=(0, 1)
    )
    assert auc.estimate == 1.0 and not auc.given


def test_a_mean_of_mostly_equal_values_asks_for_bounds():
    values = np.r_[np.ones(9), np.linspace(0, 0.7, 7)]
    assert "half have the same value" in mean_interval(values).needs
    assert mean_interval(values, bounds=(0, 1)).given


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_too_few_units_give_no_interval_and_say_so(n):
    values = np.arange(1.0, n + 1)
    for found in (
        mean_interval(values),
        ratio_interval(values, values + 1),
        statistic_interval(n, lambda i: float(len(i))),
    ):
        assert found.n == n and not found.given and "units" in found.needs
        assert np.isnan(found.estimate) == (n == 0)
    assert mean_interval(values / 10, bounds=(0, 1)).given == (n > 0)
    assert share_interval(0, n).given == (n > 0)


def test_the_gates_are_where_intervals_begin():
    for n in (MIN_UNITS["mean"] - 1, MIN_UNITS["mean"]):
        assert mean_interval(NORMAL[:n]).given == (n >= MIN_UNITS["mean"])
    for n in (MIN_UNITS["statistic"] - 1, MIN_UNITS["statistic"]):
        assert statistic_interval(n, correlation, bounds=(-1, 1)).given == (
            n >= MIN_UNITS["statistic"]
        )


def test_units_are_resampled_not_their_values():
    units = np.repeat(np.arange(10), 50)
    values = np.repeat(NORMAL[:10], 50) + 1e-3 * np.random.default_rng(0).normal(size=500)
    found = mean_interval(values, units)
    assert found.n == 10
    assert ends(found) == pytest.approx(ends(mean_interval(NORMAL[:10])), abs=1e-2)
    uneven = mean_interval(np.r_[NORMAL[:10], NORMAL[0]], np.r_[np.arange(10), 0])
    assert ends(uneven) == pytest.approx(ends(mean_interval(NORMAL[:10])))


def test_paired_ratio_gains_from_the_pairing():
    size = np.random.default_rng(2).gamma(2, size=30)
    above, below = 3 * size * np.linspace(0.9, 1.1, 30), size
    paired, apart = ratio_interval(above, below), ratio_interval(above, below, paired=False)
    assert paired.estimate == apart.estimate == pytest.approx(above.mean() / below.mean())
    assert paired.high / paired.low < apart.high / apart.low / 2
    assert paired.low < 3 < paired.high


def test_ratio_agrees_with_fieller_where_both_apply():
    a, b = POSITIVE + 5
    q = stats.t.ppf(0.975, len(a) - 1)
    ratios = np.linspace(0.8, 1.2, 4001)
    differences = a[:, None] - b[:, None] * ratios
    inside = ratios[np.abs(differences.mean(0)) <= q * stats.sem(differences)]
    assert ends(ratio_interval(a, b)) == pytest.approx((inside[0], inside[-1]), abs=0.02)


def test_resamples_without_a_ratio_leave_its_end_open():
    """Only two of 9 texts hold anything below: many resamples have a mean of 0 there."""
    found = ratio_interval(np.linspace(1, 2, 9), [0.0] * 7 + [1.0, 2.0])
    assert found.high == np.inf and found.low == 0.0
    assert ratio_interval(np.ones(9), np.zeros(9)).estimate == np.inf
    assert np.isnan(ratio_interval(np.zeros(9), np.zeros(9)).estimate)


def test_a_censored_ratio_is_open_on_the_censored_side():
    steps = np.linspace(100, 900, 16)
    whole = ratio_interval(steps * 4, steps)
    censored = ratio_interval(np.minimum(steps * 4, 2000), steps)
    assert censored.estimate < whole.estimate
    known = ratio_interval(np.minimum(steps * 4, 2000), steps, censored_above=True)
    assert ends(known) == (censored.low, np.inf) and known.p_value(1e6) == 1.0
    below = ratio_interval(steps, np.minimum(steps * 4, 2000), censored_below=True)
    assert below.low == 0.0 and below.estimate < below.high < 1


def test_jackknife_of_a_mean_is_students_t_but_for_its_factor():
    found = statistic_interval(40, lambda i: NORMAL[i].mean())
    error = stats.sem(NORMAL) * (40 / 38) ** 0.5
    assert ends(found) == pytest.approx(stats.t.interval(0.95, 39, NORMAL.mean(), error))
    p = 2 * stats.t.sf(abs(NORMAL.mean() - 0.3) / error, 39)
    assert found.p_value(0.3) == pytest.approx(p)


def test_jackknife_of_a_correlation_is_close_to_fishers():
    x, y = np.random.default_rng(6).normal(size=(2, 400))
    z = np.stack([x, x + y])
    found = statistic_interval(400, lambda i: np.corrcoef(z[:, i])[0, 1], bounds=(-1, 1))
    theirs = stats.pearsonr(*z).confidence_interval()
    assert ends(found) == pytest.approx(tuple(theirs), abs=0.02)


def test_a_statistic_that_one_unit_decides_gets_no_interval():
    assert not statistic_interval(20, lambda i: 1.0 if 3 in i else float("nan")).given


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([1.0, np.nan]), "expected finite numbers"),
        (lambda: mean_interval([0.5, 1.2], bounds=(0, 1)), "between 0 and 1"),
        (lambda: mean_interval([1.0, 2.0], units=["a"]), "a unit for each"),
        (lambda: share_interval(4, 3), "successes"),
        (lambda: ratio_interval([1.0, np.inf], [1.0, 1.0]), "its budget"),
        (lambda: ratio_interval([1.0, -1.0], [1.0, 1.0]), "at least 0"),
        (lambda: ratio_interval([1.0, 2.0], [1.0]), "equally large"),
        (lambda: ratio_interval([1.0], [1.0], ["a"], paired=False), "not paired"),
        (lambda: statistic_interval(20, lambda i: 2.0 * len(i), bounds=(0, 1)), "between"),
    ],
)
def test_bad_input_is_told(call, message):
    with pytest.raises(ReproducerError, match=message):
        call()


SAMPLES = st.lists(st.floats(0.01, 1.0), min_size=8, max_size=20, unique=True)


@settings(deadline=None, max_examples=30)
@given(SAMPLES, st.floats(-5, 5), st.floats(0.1, 10), st.randoms(use_true_random=False))
def test_means_move_with_the_data_and_ignore_its_order(values, shift, factor, random):
    x = np.array(values)
    mixed = random.sample(values, len(values))
    if np.ptp(x) < 1e-3:
        return
    for before, after in (
        (mean_interval(x), mean_interval(shift + factor * np.array(mixed))),
        (
            mean_interval(x, bounds=(0, 1)),
            mean_interval(shift + factor * np.array(mixed), bounds=(shift, shift + factor)),
        ),
    ):
        expected = [shift + factor * end for end in ends(before)]
        assert ends(after) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(SAMPLES, st.floats(0.1, 10), st.randoms(use_true_random=False))
def test_ratios_scale_and_invert(values, factor, random):
    a = np.array(values)
    b = np.linspace(1, 2, len(a))
    order = random.sample(range(len(a)), len(a))
    before = ratio_interval(a, b)
    if not before.given:
        return
    after = ratio_interval(factor * a[order], b[order])
    assert ends(after) == pytest.approx([factor * end for end in ends(before)], rel=1e-6)
    assert ratio_interval(b, a).estimate == pytest.approx(1 / before.estimate)
