"""Mantel's correlation and its interval against numpy on the list of pairs."""

import numpy as np
import pytest

from reproducer.analysis.intervals import statistic_interval
from reproducer.analysis.matrices import mantel_interval, pair_correlation
from reproducer.errors import ReproducerError


def symmetric(n, seed):
    values = np.random.default_rng(seed).normal(size=(n, n))
    return values + values.T


def test_correlation_is_pearsons_over_pairs():
    a, b = symmetric(8, 0), symmetric(8, 1)
    above = np.triu_indices(8, 1)
    expected = np.corrcoef(a[above], b[above])[0, 1]
    assert pair_correlation(a, b) == pytest.approx(expected)


def test_equal_matrices_agree_completely():
    a = symmetric(9, 3)
    assert pair_correlation(a, a) == pytest.approx(1)


def test_interval_leaves_out_whole_groups():
    a, b, groups = symmetric(26, 0), symmetric(26, 1) + symmetric(26, 0), np.arange(26) // 2
    interval = mantel_interval(a, b, groups)
    assert interval.n == 13 and interval.estimate == pytest.approx(pair_correlation(a, b))
    left_out = [
        pair_correlation(a[np.ix_(kept, kept)], b[np.ix_(kept, kept)])
        for kept in (groups != g for g in range(13))
    ]
    expected = statistic_interval(
        13,
        lambda kept: (
            left_out[(set(range(13)) - {*kept}).pop()] if len(kept) < 13 else pair_correlation(a, b)
        ),
        bounds=(-1, 1),
    )
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_interval_covers_the_truth_and_does_not_gain_from_families():
    """Texts of a family are alike in both; drawn twice, such a family would agree with itself."""
    draw, intervals = np.random.default_rng(0), []
    for _ in range(60):
        centres = np.repeat(draw.normal(size=(16, 6)), 2, axis=0)
        a, b = (centres + 1.5 * draw.normal(size=(32, 6)) for _ in range(2))
        intervals.append(mantel_interval(a @ a.T, b @ b.T, np.arange(32) // 2))
    truth = np.mean([i.estimate for i in intervals])
    assert np.mean([i.low <= truth <= i.high for i in intervals]) >= 0.9


def test_constant_matrices_have_no_correlation():
    assert np.isnan(pair_correlation(np.ones((4, 4)), symmetric(4, 0)))


def test_shapes_must_agree():
    with pytest.raises(ReproducerError, match="same 3 or more texts"):
        pair_correlation(symmetric(4, 0), symmetric(5, 0))
