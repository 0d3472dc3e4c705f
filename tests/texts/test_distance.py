"""Distances between texts, by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from reproducer.texts.distance import tfidf_distances


def test_tfidf_by_hand():
    texts = [(1, 2, 2), (2, 3), (4, 4)]
    counts = np.array([[1, 2, 0, 0], [0, 1, 1, 0], [0, 0, 0, 2]])
    inverse = np.log((1 + 3) / (1 + (counts > 0).sum(0))) + 1
    expected = cdist(counts * inverse, counts * inverse, "cosine")
    np.testing.assert_allclose(tfidf_distances(texts), expected, atol=1e-12)


def test_texts_with_no_token_in_common_are_at_distance_one():
    assert tfidf_distances([(1, 2), (3, 4)])[0, 1] == pytest.approx(1)
