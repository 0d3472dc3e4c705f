"""Vectors of fitted frames."""

import numpy as np
import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.results.vectors import stacked


@pytest.fixture
def frame():
    draw = np.random.default_rng(0)
    return pd.DataFrame({name: list(draw.normal(size=(12, 8))) for name in ("e", "m")})


def test_joined_vectors_weigh_both_alike(frame):
    joined = stacked(frame, "[e;m]")
    assert joined.shape == (12, 16)
    np.testing.assert_allclose(np.linalg.norm(joined[:, :8], axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(joined[:, 8:], axis=1), 1)
    with pytest.raises(ReproducerError, match="unknown token 'f'"):
        stacked(frame, "f")
