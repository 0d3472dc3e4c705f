"""Bootstrap intervals: coverage, degenerate samples, reproducibility."""

import numpy as np
import pytest

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.errors import ReproducerError


def test_interval_is_that_of_resampling_by_hand():
    values = np.random.default_rng(0).normal(size=40)
    estimate, low, high = bootstrap_interval(values)
    draw = np.random.default_rng(1)
    means = [draw.choice(values, 40).mean() for _ in range(20_000)]
    assert estimate == values.mean()
    np.testing.assert_allclose([low, high], np.percentile(means, [2.5, 97.5]), atol=0.03)


def test_it_covers_the_truth_about_95_times_in_100():
    draw = np.random.default_rng(2)
    inside = 0
    for _ in range(100):
        _, low, high = bootstrap_interval(draw.normal(size=50))
        inside += low <= 0 <= high
    assert 86 <= inside <= 100


def test_same_sample_same_interval_and_constant_samples():
    assert bootstrap_interval([1, 2, 4]) == bootstrap_interval([1, 2, 4])
    assert bootstrap_interval([0.5]) == (0.5, 0.5, 0.5)
    assert bootstrap_interval([1, 1, 1]) == (1, 1, 1)
    with pytest.raises(ReproducerError, match="at least one value"):
        bootstrap_interval([])
