"""The best-of-k estimator against the enumeration of all subsets of seeds."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproducer.analysis.best_of_k import best_of_k, expected_best
from reproducer.errors import ReproducerError

accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=7)


@given(accuracies)
def test_equals_the_mean_over_all_subsets(values):
    for k in range(1, len(values) + 1):
        enumerated = np.mean([max(subset) for subset in combinations(values, k)])
        assert expected_best(values, k) == pytest.approx(enumerated, abs=1e-9)


@given(accuracies)
def test_curve_rises_from_the_mean_to_the_maximum(values):
    curve = best_of_k(values)
    assert curve[0] == pytest.approx(np.mean(values))
    assert curve[-1] == pytest.approx(max(values))
    assert (np.diff(curve) >= -1e-9).all()


def test_texts_are_rows():
    values = np.random.default_rng(0).random((3, 5))
    curves = best_of_k(values)
    assert curves.shape == (3, 5)
    np.testing.assert_allclose(curves[1], best_of_k(values[1]))


def test_hundreds_of_seeds_do_not_overflow():
    values = np.linspace(0, 1, 2000)
    assert expected_best(values, 1000) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("k", [0, 4])
def test_more_seeds_than_were_tried(k):
    with pytest.raises(ReproducerError, match="k between 1 and the 3 seeds"):
        expected_best([0.1, 0.2, 0.3], k)
