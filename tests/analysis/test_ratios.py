"""The ratio of means against scipy's bootstrap, and where it does not exist."""

import numpy as np
import pytest
from scipy import stats

from reproducer.analysis.ratios import ratio_of_means
from reproducer.errors import ReproducerError


@pytest.mark.parametrize("paired", [True, False])
def test_agrees_with_scipy(paired):
    rng = np.random.default_rng(1)
    below = rng.gamma(5.0, 2.0, 40)
    above = 2 * below + rng.normal(0, 1, 40)

    def ratio(a, b, axis):
        return a.mean(axis) / b.mean(axis)

    theirs = stats.bootstrap(
        (above, below), ratio, paired=paired, method="percentile", vectorized=True, rng=rng
    ).confidence_interval
    value, low, high = ratio_of_means(above, below, paired=paired)
    assert value == pytest.approx(above.mean() / below.mean())
    assert (low, high) == pytest.approx(tuple(theirs), rel=0.03)


def test_a_text_that_holds_nothing_is_no_obstacle():
    assert ratio_of_means([2.0, 4.0], [0.0, 3.0], paired=True)[0] == pytest.approx(2.0)


def test_nothing_on_one_side_or_on_both():
    assert ratio_of_means([1.0, 2.0], [0.0, 0.0], paired=True) == (np.inf, np.inf, np.inf)
    assert np.isnan(ratio_of_means([0.0], [0.0], paired=True)).all()


def test_samples_of_unequal_size_cannot_be_paired():
    with pytest.raises(ReproducerError, match="two equally large samples"):
        ratio_of_means([1.0, 2.0], [1.0], paired=True)
