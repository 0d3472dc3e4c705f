"""Silhouettes, neighbours and permutation tests against scikit-learn and plain loops."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances, silhouette_samples

from reproducer.analysis.clusters import (
    chance_share,
    cosine_distances,
    nearest_others,
    neighbour_share,
    permutation_p,
    silhouettes,
    tsne_map,
)
from reproducer.errors import ReproducerError

LABELS = np.array(["a", "b", "a", "c", "b", "c", "a", "b", "c", "c"])


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(10, 6))


def test_distances(vectors):
    expected = pairwise_distances(vectors, metric="cosine")
    np.testing.assert_allclose(cosine_distances(vectors), expected, atol=1e-12)


def test_a_row_of_zeros_has_no_direction():
    assert cosine_distances(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0, 1], [1, 0]]


def test_silhouettes_equal_scikit_learn(vectors):
    distances = cosine_distances(vectors)
    expected = silhouette_samples(distances, LABELS, metric="precomputed")
    np.testing.assert_allclose(silhouettes(distances, LABELS), expected, atol=1e-12)


def test_silhouettes_of_equal_vectors_are_zero():
    assert silhouettes(np.zeros((4, 4)), np.array([0, 0, 1, 1])).tolist() == [0, 0, 0, 0]


def test_neighbours_equal_a_loop(vectors):
    distances = cosine_distances(vectors)
    shares = neighbour_share(nearest_others(distances, 3), LABELS)
    for i, share in enumerate(shares):
        others = sorted((distances[i, j], j) for j in range(10) if j != i)[:3]
        assert share == pytest.approx(sum(LABELS[j] == LABELS[i] for _, j in others) / 3)


def test_chance_is_the_mean_share_of_shuffled_labels(vectors):
    nearest = nearest_others(cosine_distances(vectors), 3)
    draw = np.random.default_rng(1)
    shares = [neighbour_share(nearest, draw.permutation(LABELS)).mean() for _ in range(2000)]
    assert np.mean(shares) == pytest.approx(chance_share(LABELS), abs=0.01)


def test_p_is_small_for_clusters_and_uniform_for_noise():
    draw = np.random.default_rng(2)
    labels = np.repeat(np.arange(4), 5)
    clusters = cosine_distances(np.eye(8)[labels] + 0.1 * draw.normal(size=(20, 8)))
    assert permutation_p(lambda given: silhouettes(clusters, given), labels, 99) == 0.01
    noise = [cosine_distances(draw.normal(size=(20, 8))) for _ in range(40)]
    p = [permutation_p(lambda given, d=d: silhouettes(d, given), labels, 49) for d in noise]
    assert 0.3 < np.mean(p) < 0.7


@pytest.mark.parametrize(
    "labels, message",
    [(["a"] * 10, "two or more classes, got 1"), (["a"] * 9 + ["b"], "got one in 'b'")],
)
def test_degenerate_classes(vectors, labels, message):
    with pytest.raises(ReproducerError, match=message):
        silhouettes(cosine_distances(vectors), np.array(labels))


def test_too_many_neighbours(vectors):
    with pytest.raises(ReproducerError, match="k between 1 and 9, got 10"):
        nearest_others(cosine_distances(vectors), 10)


def test_map_is_reproducible_and_needs_four(vectors):
    assert np.array_equal(tsne_map(vectors), tsne_map(vectors))
    with pytest.raises(ReproducerError, match="4 or more vectors to map, got 3"):
        tsne_map(vectors[:3])
