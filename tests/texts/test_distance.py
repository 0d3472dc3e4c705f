"""Distances between vectors and texts, against scipy and scikit-learn's definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from reproducer.texts.distance import cosine_distances, semantic_distances, tfidf_distances


@settings(deadline=None, max_examples=20)
@given(n=st.integers(1, 8), d=st.integers(1, 40), seed=st.integers(0, 99))
def test_cosine_distances_equal_scipys(n, d, seed):
    vectors = np.random.default_rng(seed).normal(size=(n, d))
    ours = cosine_distances(vectors)
    np.testing.assert_allclose(ours, cdist(vectors, vectors, "cosine"), atol=1e-12)
    assert (ours.diagonal() == 0).all()


def test_tfidf_by_hand():
    texts = [(1, 2, 2), (2, 3), (4, 4)]
    counts = np.array([[1, 2, 0, 0], [0, 1, 1, 0], [0, 0, 0, 2]])
    inverse = np.log((1 + 3) / (1 + (counts > 0).sum(0))) + 1
    expected = cdist(counts * inverse, counts * inverse, "cosine")
    np.testing.assert_allclose(tfidf_distances(texts), expected, atol=1e-12)


def test_texts_with_no_token_in_common_are_at_distance_one():
    assert tfidf_distances([(1, 2), (3, 4)])[0, 1] == pytest.approx(1)


def test_semantic_distance_orders_meanings():
    far = semantic_distances(["A dog barked.", "The dog was barking.", "Interest rates rose."])
    assert far[0, 1] < far[0, 2]
    np.testing.assert_allclose(far, far.T)
