"""Mantel's test and its interval against numpy on the list of pairs."""

import numpy as np
import pytest

from reproducer.analysis.matrices import (
    RESAMPLES,
    bootstrap_correlations,
    interval,
    mantel,
    pair_correlation,
)
from reproducer.errors import ReproducerError


def symmetric(n, seed):
    values = np.random.default_rng(seed).normal(size=(n, n))
    return values + values.T


def test_correlation_is_pearsons_over_pairs():
    a, b = symmetric(8, 0), symmetric(8, 1)
    above = np.triu_indices(8, 1)
    expected = np.corrcoef(a[above], b[above])[0, 1]
    assert pair_correlation(a, b) == pytest.approx(expected)
    assert mantel(a, b, 9)[0] == pytest.approx(expected)


def test_correlation_over_chosen_pairs():
    a, b = symmetric(8, 0), symmetric(8, 1)
    halves = np.arange(8) < 4
    chosen = halves[:, None] != halves
    pairs = [(a[i, j], b[i, j]) for i in range(4) for j in range(4, 8)]
    expected = np.corrcoef(np.array(pairs).T)[0, 1]
    assert pair_correlation(a, b, chosen) == pytest.approx(expected)


def test_p_counts_the_same_shuffles_as_a_loop():
    a, b = symmetric(7, 0), symmetric(7, 1)
    observed, p = mantel(a, b, 200, seed=5)
    draw, above = np.random.default_rng(5), np.triu_indices(7, 1)
    orders = [draw.permutation(7) for _ in range(200)]
    shuffled = [np.corrcoef(a[np.ix_(o, o)][above], b[above])[0, 1] for o in orders]
    assert p == (1 + sum(r >= observed - 1e-12 for r in shuffled)) / 201


def test_equal_matrices_agree_completely():
    a = symmetric(9, 3)
    assert mantel(a, a, 99) == (pytest.approx(1), 0.01)


def test_resampled_correlation_equals_one_with_repeated_texts():
    a, b, clusters = symmetric(6, 0), symmetric(6, 1), np.array([0, 0, 1, 1, 2, 2])
    found = bootstrap_correlations(a, b, clusters, seed=4)
    counts = np.random.default_rng(4).multinomial(3, np.full(3, 1 / 3), RESAMPLES)[0]
    texts = np.repeat(np.arange(6), counts[clusters])
    pairs = [(a[i, j], b[i, j]) for i in texts for j in texts if i != j]
    assert found.shape == (RESAMPLES,)
    assert found[0] == pytest.approx(np.corrcoef(np.array(pairs).T)[0, 1])


def test_interval_leaves_out_what_is_no_number():
    assert interval(np.array([np.nan, 1, 1])) == (1, 1)
    assert np.isnan(interval(np.array([np.nan]))).all()


def test_shapes_must_agree():
    with pytest.raises(ReproducerError, match="same 3 or more texts"):
        mantel(symmetric(4, 0), symmetric(5, 0))
