"""Pairs of contexts: the chance by a plain loop, the jackknife by deleting rows."""

import numpy as np
import pandas as pd
import pytest

from reproducer.analysis.dyads import closer_interval, gain_interval, gains
from reproducer.analysis.intervals import statistic_interval


def some_pairs(draw, n_contexts, gap=0.0, slope=0.0, per_context=3):
    """Distances with effects of context, text and context pair; `gap` between the groups.

    `apart` is larger for pairs of different contexts, and adds `slope` times itself.
    """
    context = np.repeat(np.arange(n_contexts), per_context)
    of_context, of_text = draw.normal(size=n_contexts), 0.7 * draw.normal(size=len(context))
    of_pair = 0.5 * draw.normal(size=(n_contexts, n_contexts))
    i, j = np.triu_indices(len(context), 1)
    a, b = context[i], context[j]
    apart = draw.uniform(size=len(i)) + 0.4 * (a != b)
    distance = gap * (a != b) + of_context[a] + of_context[b] + of_text[i] + of_text[j]
    distance += of_pair[a, b] + of_pair[b, a] + draw.normal(size=len(i)) + slope * apart
    names = np.array([f"c{k:03d}" for k in range(n_contexts)])
    pairs = {"context_a": names[a], "context_b": names[b], "distance": distance, "apart": apart}
    return pd.DataFrame(pairs)


def groups(pairs):
    near = pairs["context_a"] == pairs["context_b"]
    return near, ~near


def obvious_chance(pairs):
    """The mean over contexts of the share of comparisons that the nearer pair wins."""
    near, far = groups(pairs)
    chances = []
    for context in sorted(set(pairs.loc[near, "context_a"])):
        touching = (pairs["context_a"] == context) | (pairs["context_b"] == context)
        x = pairs.loc[near & touching, "distance"].to_numpy()
        y = pairs.loc[far & touching, "distance"].to_numpy()
        if len(y):
            chances.append(np.mean((x[:, None] < y) + 0.5 * (x[:, None] == y)))
    return float(np.mean(chances))


def residuals(pairs):
    """The distance without the least-squares slope on `apart` within the groups."""
    near, _ = groups(pairs)
    x, y = (pairs[c] - pairs.groupby(near)[c].transform("mean") for c in ("apart", "distance"))
    return pairs.assign(distance=pairs["distance"] - (x @ y) / (x @ x) * pairs["apart"])


def among(pairs, contexts):
    return pairs[pairs["context_a"].isin(contexts) & pairs["context_b"].isin(contexts)]


@pytest.mark.parametrize("at_equal", [None, "apart"])
def test_the_interval_is_the_jackknife_that_deletes_rows(at_equal):
    pairs = some_pairs(np.random.default_rng(0), 12, gap=1.0, slope=1.5)
    pairs["distance"] = pairs["distance"].round(1)  # ties
    held = residuals if at_equal else lambda frame: frame
    interval = closer_interval(pairs, *groups(pairs), at_equal)
    names = pairs["context_a"].unique()
    obvious = statistic_interval(
        12, lambda kept: obvious_chance(held(among(pairs, names[kept]))), bounds=(0, 1)
    )
    assert interval.estimate == pytest.approx(obvious.estimate)
    assert (interval.low, interval.high) == pytest.approx((obvious.low, obvious.high))
    assert interval.n == 12 and 0 < interval.low < interval.high < 1


def test_the_order_of_rows_and_of_contexts_does_not_matter():
    pairs = some_pairs(np.random.default_rng(1), 12, gap=0.5)
    swapped = pairs.rename(columns={"context_a": "context_b", "context_b": "context_a"})
    mixed = swapped.sample(frac=1, random_state=0)
    for at_equal in (None, "apart"):
        one, other = (closer_interval(p, *groups(p), at_equal) for p in (pairs, mixed))
        assert other.estimate == pytest.approx(one.estimate)
        assert (other.low, other.high) == pytest.approx((one.low, one.high))


def test_groups_swapped_turn_the_chance_around():
    pairs = some_pairs(np.random.default_rng(2), 12, gap=1.0)
    opposite = pairs.assign(distance=-pairs["distance"])
    one, other = (closer_interval(p, *groups(p)) for p in (pairs, opposite))
    assert one.estimate > 0.6
    assert (other.estimate, other.low) == pytest.approx((1 - one.estimate, 1 - one.high))


def test_a_slope_alone_is_no_effect_at_equal_distance():
    pairs = some_pairs(np.random.default_rng(3), 40, slope=6.0)
    assert closer_interval(pairs, *groups(pairs)).low > 0.6
    held = closer_interval(pairs, *groups(pairs), "apart")
    assert held.low < 0.5 < held.high < 0.6


def test_a_column_that_does_not_vary_takes_nothing_out():
    pairs = some_pairs(np.random.default_rng(3), 12).assign(apart=1.0)
    plain, held = (closer_interval(pairs, *groups(pairs), c) for c in (None, "apart"))
    assert held.estimate == pytest.approx(plain.estimate)


def test_contexts_without_a_nearer_pair_are_left_out():
    pairs = some_pairs(np.random.default_rng(4), 14, gap=0.5)
    near, _ = groups(pairs)
    lonely = near & pairs["context_a"].isin(["c003", "c007"])
    kept = sorted(set(pairs["context_a"]) - {"c003", "c007"})
    one, other = (closer_interval(p, *groups(p)) for p in (pairs[~lonely], among(pairs, kept)))
    assert one.n == 12 and (one.estimate, one.low) == (other.estimate, other.low)


@pytest.mark.parametrize("n_contexts", [1, 2, 4, 8])
def test_few_contexts_and_perfect_order_have_finite_bounded_intervals(n_contexts):
    pairs = some_pairs(np.random.default_rng(5), n_contexts, gap=100.0)
    interval = closer_interval(pairs, *groups(pairs))
    if n_contexts == 1:
        assert not interval.given
        return
    assert interval.estimate == interval.high == 1
    assert interval.low == pytest.approx(0.025 ** (1 / n_contexts), abs=0.02)


def test_no_pairs_give_no_interval():
    pairs = some_pairs(np.random.default_rng(6), 3)
    nothing = pd.Series(False, index=pairs.index)
    for at_equal in (None, "apart"):
        for near in (nothing, groups(pairs)[0]):
            interval = closer_interval(pairs, near, nothing, at_equal)
            assert not interval.given and np.isnan(interval.estimate)


def test_gains_have_the_mean_of_own_minus_others():
    similarity = np.random.default_rng(0).normal(size=(6, 6))
    own = similarity.diagonal().mean()
    others = similarity[~np.eye(6, dtype=bool)].mean()
    assert gains(similarity).mean() == pytest.approx(own - others)


def test_what_is_like_everything_gains_nothing():
    similarity = np.zeros((40, 40))
    similarity[2, :] += 1  # what is written after text 2 is like everything
    similarity[:, 3] += 1  # everything is like text 3
    assert gains(similarity) == pytest.approx(np.zeros(40), abs=0.03)
    assert gains(np.ones((5, 5))) == pytest.approx(np.zeros(5))
    assert gains(np.eye(5)) == pytest.approx(np.ones(5))


def test_the_spread_of_gains_is_that_of_their_mean():
    """Texts whose likeness to all varies: own minus the row's mean alone would be too sure."""
    draw = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(300):
        writes, is_like = draw.normal(size=(2, 16))
        similarity = is_like + 0.3 * writes[:, None] + 0.2 * draw.normal(size=(16, 16))
        means.append(gains(similarity).mean())
        errors.append(gains(similarity).std(ddof=1) / 4)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(means), rel=0.15)


def test_gains_stay_inside_their_bounds():
    gain = np.r_[np.full(11, 1.9), -1.9]
    interval = gain_interval(gain)
    assert -2 < interval.low < interval.estimate < interval.high < 2
    assert not gain_interval(gain[:7]).given
