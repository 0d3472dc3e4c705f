"""Vectors of fitted frames."""

import numpy as np
import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.results.vectors import solved, stacked


@pytest.fixture
def frame():
    draw = np.random.default_rng(0)
    vectors = {name: list(draw.normal(size=(12, 8))) for name in ("e", "m")}
    return pd.DataFrame({"accuracy": np.linspace(0, 1, 12), **vectors})


def test_joined_vectors_weigh_both_alike(frame):
    joined = stacked(frame, "[e;m]")
    assert joined.shape == (12, 16)
    np.testing.assert_allclose(np.linalg.norm(joined[:, :8], axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(joined[:, 8:], axis=1), 1)
    with pytest.raises(ReproducerError, match="unknown token 'f'"):
        stacked(frame, "f")


def test_unsolved_sets_are_refused(frame):
    assert len(solved(frame, 0.5)) == 6
    with pytest.raises(ReproducerError, match="got none of 6: the best has 0.45; raise max_steps"):
        solved(frame[frame["accuracy"] < 0.5], 0.9)
