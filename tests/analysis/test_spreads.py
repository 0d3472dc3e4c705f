"""The spread of several means: bounds from all pairs, and simulated coverage."""

from itertools import combinations

import numpy as np
import pytest

from reproducer.analysis.intervals import mean_interval
from reproducer.analysis.spreads import spread_interval


def test_ends_are_those_of_the_pairs_at_their_share_of_the_level():
    values = np.random.default_rng(0).normal([0.0, 0.4, 1.0], 0.3, (12, 3))
    interval = spread_interval(values)
    means = values.mean(0)
    assert interval.estimate == pytest.approx(means.max() - means.min())
    each = [
        mean_interval(values[:, i] - values[:, j]).ends(0.05 / 3)
        for i, j in combinations(range(3), 2)
    ]
    assert interval.low == max(0, *(low for low, _ in each), *(-high for _, high in each))
    assert interval.high == max(max(abs(low), abs(high)) for low, high in each)


def test_two_means_are_a_difference():
    values = np.random.default_rng(1).normal([1.0, 0.0], 0.2, (10, 2))
    one, other = spread_interval(values), mean_interval(values[:, 0] - values[:, 1])
    assert (one.low, one.high) == (other.low, other.high)


def test_coverage():
    draw = np.random.default_rng(2)
    for truth in ((0.0, 0.0, 0.0, 0.0), (0.0, 0.1, 0.1, 0.3)):
        hits = 0
        for _ in range(60):
            values = draw.normal(truth, 0.3, (12, 4)) + draw.normal(size=(12, 1))
            interval = spread_interval(values)
            hits += interval.low <= max(truth) - min(truth) <= interval.high
        assert hits >= 0.93 * 60


def test_too_few():
    assert not spread_interval(np.zeros((0, 4))).given
    assert not spread_interval(np.random.default_rng(0).random((5, 4))).given
    assert spread_interval(np.ones((9, 1))).needs == "two or more means"
