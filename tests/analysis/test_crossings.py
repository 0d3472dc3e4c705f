"""Where a curve first reaches a level."""

import numpy as np
import pytest

from reproducer.analysis.crossings import first_reached


def test_between_points_it_is_on_the_line_of_the_logarithms():
    assert first_reached([1, 8, 64], [100, 800, 6400], 400) == pytest.approx(4)
    assert first_reached([1, 10], [1, 100], 10) == pytest.approx(10**0.5)


def test_at_the_first_point_and_never():
    assert first_reached([2, 8], [100, 50], 100) == pytest.approx(2)
    assert first_reached([2, 8], [100, 50], 101) is None


def test_equals_a_fine_search():
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = np.sort(rng.uniform(1, 100, 6))
        y = rng.uniform(1, 100, 6)
        level = rng.uniform(1, 100)
        fine = np.linspace(np.log(x[0]), np.log(x[-1]), 200_001)
        heights = np.interp(fine, np.log(x), np.log(y))
        above = np.flatnonzero(heights >= np.log(level))
        reached = first_reached(x, y, level)
        if len(above):
            assert reached == pytest.approx(np.exp(fine[above[0]]), rel=1e-4)
        else:
            # Only a peak between two fine points can be missed.
            assert reached is None or y.max() / level < 1.001
